package server

import (
	"fmt"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/canteen/deploy/controller/rollout"
)

// The chart's measures, in its own units; it is as wide as the page lets it.
const (
	chartWidth  = 900
	chartHeight = 150
	chartFloor  = 125 // where bars stand; below it is the axis
	chartTop    = 15
	barMin      = 4
)

// chart is the history of rollouts over time: a bar for each, as high as it took, at the time at which it began.
type chart struct {
	Width, Height, Floor int
	Bars                 []bar
	From, To             time.Time
	Longest              time.Duration
	Says                 string // for who does not see it
}

type bar struct {
	X, Y, Width, Height int
	Tone                string
	Says                string
}

// chartOf draws entries, newest first, up to now; nil for none.
func chartOf(entries []Entry, now time.Time) *chart {
	if len(entries) == 0 {
		return nil
	}
	c := &chart{Width: chartWidth, Height: chartHeight, Floor: chartFloor, From: entries[len(entries)-1].StartedAt, To: now}
	counts := map[string]int{}
	for _, e := range entries {
		c.Longest = max(c.Longest, e.EndedAt.Sub(e.StartedAt))
		counts[resultTone(e.Result)]++
	}
	whole := max(c.To.Sub(c.From), time.Second)
	scale := func(d, of time.Duration, width int) int { return int(float64(width) * float64(d) / float64(of)) }
	for _, e := range entries {
		took := max(e.EndedAt.Sub(e.StartedAt), 0)
		height := max(scale(took, max(c.Longest, time.Second), chartFloor-chartTop), barMin)
		width := max(scale(took, whole, chartWidth), barMin)
		x := min(max(scale(e.StartedAt.Sub(c.From), whole, chartWidth), 0), chartWidth-width)
		c.Bars = append(c.Bars, bar{
			X: x, Y: chartFloor - height, Width: width, Height: height, Tone: resultTone(e.Result),
			Says: fmt.Sprintf("#%d %s %s, %s, took %s", e.Number, e.Kind, e.Result, clock(e.StartedAt), Age(took)),
		})
	}
	c.Says = fmt.Sprintf("%d rollouts since %s: %d went well, %d failed, %d ended otherwise. The table below has each.",
		len(entries), clock(c.From), counts["good"], counts["bad"], counts["odd"])
	return c
}

func (c *chart) html() g.Node {
	floor, width := strconv.Itoa(c.Floor), strconv.Itoa(c.Width)
	return h.Figure(h.Class("chart"),
		h.SVG(h.Role("img"), h.Aria("label", c.Says), g.Attr("viewBox", fmt.Sprintf("0 0 %d %d", c.Width, c.Height)),
			g.El("line", h.Class("axis"), g.Attr("x1", "0"), g.Attr("y1", floor), g.Attr("x2", width), g.Attr("y2", floor)),
			g.Map(c.Bars, bar.html)),
		h.FigCaption(
			g.Text("Rollouts from "), date(c.From), g.Text(" to now; the highest took "+Age(c.Longest)+". "),
			h.Span(h.Class("good"), g.Text("■")), g.Text(" well "), h.Span(h.Class("bad"), g.Text("■")), g.Text(" failed "),
			h.Span(h.Class("odd"), g.Text("■")), g.Text(" otherwise")),
	)
}

func (b bar) html() g.Node {
	return g.El("rect", h.Class(b.Tone), g.Attr("x", strconv.Itoa(b.X)), g.Attr("y", strconv.Itoa(b.Y)), h.Width(strconv.Itoa(b.Width)),
		h.Height(strconv.Itoa(b.Height)), h.TitleEl(g.Text(b.Says)))
}

// resultTone is the class of a result in the style sheet.
func resultTone(r rollout.Result) string {
	switch r {
	case rollout.ResultSucceeded, rollout.ResultReverted, rollout.ResultRestored:
		return "good"
	case rollout.ResultRejected, rollout.ResultRevertFailed:
		return "bad"
	default:
		return "odd"
	}
}
