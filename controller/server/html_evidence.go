package server

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// railOf shows the stages one after the other. The script counts down to what the one at work ends with.
func railOf(stages []stage, now time.Time) g.Node {
	return h.Ol(h.Class("rail"), h.Aria("label", "Stages"), g.Map(stages, func(s stage) g.Node {
		out := g.Group{h.Class(s.Mark), g.If(s.Mark == "now", h.Aria("current", "step")), g.Text(s.Name), g.If(s.Mark == "failed", g.Text(" failed"))}
		if s.Took != 0 {
			out = append(out, small(Age(s.Took)))
		}
		if !s.Until.IsZero() {
			out = append(out, g.Text(" "), h.Small(g.Text("ends "),
				h.Time(h.DateTime(stamp(s.Until)), g.Attr("data-until"), h.Title(clock(s.Until)), g.Text(Until(now, s.Until)))))
		}
		return h.Li(out)
	}))
}

// checks is what checks said; nothing where none was asked.
func checks(readings []observed.Reading, now time.Time) g.Node {
	return g.If(len(readings) > 0, table("stack", "Checks", columns("Check", "Says", "Value", "Threshold", "Detail", "At"),
		g.Map(readings, func(r observed.Reading) g.Node {
			return h.Tr(rowHead(g.Text(r.Check)), h.Td(verdictSign(r.Verdict)), labelled("Value", g.Text(cmp.Or(r.Value, "–"))),
				labelled("Threshold", g.Text(cmp.Or(r.Threshold, "–"))), cell(r.Detail), h.Td(ago(now, r.At)))
		})))
}

func verdictSign(v observed.Verdict) g.Node {
	switch v {
	case observed.Pass:
		return sign("good", "✔", "pass")
	case observed.Fail:
		return sign("bad", "✖", "fail")
	default:
		return sign("odd", "?", string(v))
	}
}

// migrated is what a migration that succeeded wrote last; nothing where it wrote nothing.
func migrated(lines []string) g.Node {
	return g.If(len(lines) > 0, section("output", "What the migration said last", output(lines)))
}

// evidence is why a rollout failed.
func evidence(e *Evidence) g.Node {
	return g.Group{
		h.P(g.Text(e.Message), small(given("(", e.Reason, ")"))),
		g.If(len(e.Tasks) > 0, g.Group{h.H3(g.Text("Stopped tasks")), h.Ul(g.Map(e.Tasks, stopped))}),
		g.If(len(e.Log) > 0, g.Group{h.H3(g.Text("Last log lines")), output(e.Log)}),
		g.If(len(e.Targets) > 0, g.Group{h.H3(g.Text("Targets")), items(e.Targets, itself)}),
		g.If(len(e.Alarms) > 0, g.Group{h.H3(g.Text("Alarms")), items(e.Alarms, alarmWords)}),
		g.If(len(e.Events) > 0, g.Group{h.H3(g.Text("Service events")), items(e.Events, itself)}),
	}
}

func stopped(t rollout.TaskEvidence) g.Node {
	words := " " + t.StopCode + ": " + t.Reason
	for _, name := range slices.Sorted(maps.Keys(t.ExitCodes)) {
		words += fmt.Sprintf(" · %s exit code %d", name, t.ExitCodes[name])
	}
	for _, reason := range t.Containers {
		words += " · " + reason
	}
	return h.Li(code(tail(t.Task)), g.Text(words))
}

func alarmWords(a status.Alarm) string { return a.Name + " " + a.State + given(": ", a.Reason, "") }
