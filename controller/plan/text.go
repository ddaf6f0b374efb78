package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// effectWords are the mark and the words of each effect, of one service and after a number; the mark does not rely on colour.
var effectWords = map[Effect]struct{ mark, words, counted string }{
	EffectUnknown:  {"?", "not known", "not known"},
	EffectInvalid:  {"✖", "invalid", "invalid"},
	EffectRefused:  {"✖", "refused", "refused"},
	EffectWait:     {"…", "waits", "waiting"},
	EffectChange:   {"▶", "changes", "to change"},
	EffectUnderWay: {"▶", "under way", "under way"},
	EffectReported: {"▲", "reported only", "reported only"},
	EffectReleased: {"‖", "released", "released"},
	EffectNone:     {"✔", "no change", "without change"},
}

// Text writes the plan for a terminal. What came from files, commits and AWS cannot move the cursor.
func (p Plan) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Plan for %s (account %s, %s), %s.\n", line(p.Environment), line(p.Account), line(p.Region), p.madeFrom())
	fmt.Fprintf(&b, "%s.\n", p.tally())
	for _, e := range p.Invalid {
		fmt.Fprintf(&b, "%s\n", line(e.Error()))
	}
	var quiet []string
	for _, s := range p.ordered() {
		if s.quiet() {
			quiet = append(quiet, s.Name)
			continue
		}
		s.text(&b)
	}
	if len(quiet) > 0 {
		fmt.Fprintf(&b, "\n%s %s: %s\n", effectWords[EffectNone].mark, effectWords[EffectNone].words, line(strings.Join(quiet, ", ")))
	}
	for i, note := range p.Notes {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "Note: %s\n", line(note))
	}
	return b.String()
}

func (p Plan) madeFrom() string {
	at := p.At.UTC().Format("2006-01-02 15:04:05 MST")
	if p.Source == SourceController {
		return "as the controller sees it at " + at
	}
	return "as the account shows it at " + at
}

// tally counts the services by effect.
func (p Plan) tally() string {
	if len(p.Services) == 0 {
		return "No services"
	}
	noun := "services"
	if len(p.Services) == 1 {
		noun = "service"
	}
	var parts []string
	for _, e := range Effects() {
		if n := p.Count(e); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, effectWords[e].counted))
		}
	}
	return fmt.Sprintf("%d %s: %s", len(p.Services), noun, strings.Join(parts, ", "))
}

// ordered are the services, those first that a reader must know of first.
func (p Plan) ordered() []Service {
	rank := Effects()
	return slices.SortedStableFunc(slices.Values(p.Services), func(a, b Service) int {
		return slices.Index(rank, a.Effect) - slices.Index(rank, b.Effect)
	})
}

// quiet reports whether there is nothing to tell of the service but that nothing is to do.
func (s Service) quiet() bool { return s.Effect == EffectNone && len(s.Now) == 0 && s.advice() == "" }

func (s Service) text(b *strings.Builder) {
	w := effectWords[s.Effect]
	fmt.Fprintf(b, "\n%s %s: %s\n  %s\n", w.mark, line(s.Name), w.words, line(s.Summary))
	if advice := s.advice(); advice != "" {
		fmt.Fprintf(b, "  %s\n", line(advice))
	}
	for _, e := range s.Invalid {
		fmt.Fprintf(b, "    %s\n", line(e.Error()))
	}
	for _, section := range s.sections() {
		for i, entry := range section.lines {
			title := section.title
			if i > 0 {
				title = ""
			}
			if section.ordered {
				entry = fmt.Sprintf("%d. %s", i+1, entry)
			}
			fmt.Fprintf(b, "    %-10s %s\n", title, line(entry))
		}
	}
}

// advice is what a person can do, where a person is needed.
func (s Service) advice() string {
	if s.Advice == "" || strings.HasPrefix(s.Advice, "Nothing") || s.Effect == EffectChange {
		return ""
	}
	return s.Advice
}

// section is one part of what is told of a service.
type section struct {
	title   string
	lines   []string
	ordered bool // in time
}

// The titles that decide how a section is written.
const (
	titleNow     = "now"
	titleThen    = "then"
	titleChanges = "changes"
)

func (s Service) sections() []section {
	var out []section
	add := func(title string, lines ...string) {
		if len(lines) > 0 {
			out = append(out, section{title, lines, title == titleNow || title == titleThen})
		}
	}
	add(titleNow, stepLines(s.Now)...)
	add("waits for", s.holdLines()...)
	add(titleThen, stepLines(s.Then)...)
	add(titleChanges, s.Changes.lines()...)
	add("migration", s.migrationLines()...)
	if v := s.Verify; v != nil {
		add("verify", fmt.Sprintf("%s of %s; deadline %s; on failure: %s", v.Bake, strings.Join(v.Checks, ", "), v.Deadline, v.OnFailure))
	}
	if r := s.Rejected; r != nil {
		add("rejected", fmt.Sprintf("%s: %s", stamp(r.At), r.Message), "cleared by "+strings.Join(r.ClearedBy, ", or by "))
	}
	if d := s.Drift; d != nil {
		add("drift", fmt.Sprintf("somebody else deployed %s; seen since %s", d.Revision, stamp(d.Since)))
	}
	add("leaves", s.Leaves...)
	add("took", s.tookLine())
	add("assumes", s.Assumed...)
	return slices.DeleteFunc(out, func(s section) bool { return len(s.lines) == 1 && s.lines[0] == "" })
}

func stepLines(steps []Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Text)
	}
	return out
}

func (s Service) holdLines() []string {
	var out []string
	for _, h := range s.Holds {
		text := h.Why
		if !h.Until.IsZero() && h.Said != rollout.SaidWindow && h.Said != rollout.SaidHeld && h.Said != rollout.SaidSuspended {
			text += " Until " + stamp(h.Until) + "." // the others say so themselves
		}
		out = append(out, text)
	}
	return out
}

func (s Service) migrationLines() []string {
	m := s.Migration
	if m == nil || m.Skip == rollout.SkipNone {
		return nil
	}
	if !m.Runs {
		return []string{m.Why}
	}
	how := fmt.Sprintf("%s (container %s, at most %s, %s", strings.Join(m.Command, " "), m.Container, m.Timeout, m.Compatibility)
	if m.Idempotent {
		how += ", idempotent"
	}
	return []string{m.Why, how + ")"}
}

// tookLine says how long a rollout may take, from those before; and that nobody knows where that matters.
func (s Service) tookLine() string {
	switch t := s.Took; {
	case s.Effect != EffectChange && s.Effect != EffectWait || s.Kind != rollout.KindDeploy:
		return ""
	case t == nil:
		return "not known how long rollouts of it take"
	case t.Count == 1:
		return fmt.Sprintf("%s, the last deploy that succeeded", t.Median)
	default:
		return fmt.Sprintf("%s, the median of the last %d deploys that succeeded (%s to %s)", t.Median, t.Count, t.Least, t.Most)
	}
}

// lines are one for each difference, marked as in a diff: + added, - removed, ! changed.
func (c *Changes) lines() []string {
	if c == nil {
		return nil
	}
	var out []string
	for _, d := range c.List {
		out = append(out, d.line())
	}
	if c.More > 0 {
		out = append(out, fmt.Sprintf("and %d more", c.More))
	}
	if len(c.List) == 0 && c.Note == "" {
		out = append(out, "none: the task definition stays as it is")
	}
	if c.Note != "" {
		out = append(out, c.Note)
	}
	return out
}

func (d Change) line() string {
	what := strings.Join(slices.DeleteFunc([]string{d.Container, d.About, d.Name}, func(s string) bool { return s == "" || s == AboutField }), " ")
	switch {
	case d.About == AboutContainer:
		what = "container " + d.Container
		if d.From == nil {
			return "+ " + what
		}
		return "- " + what
	case d.From == nil:
		return fmt.Sprintf("+ %s: %s", what, *d.To)
	case d.To == nil:
		return fmt.Sprintf("- %s: %s", what, *d.From)
	case d.Hidden:
		return fmt.Sprintf("! %s: changed, not shown", what)
	}
	return fmt.Sprintf("! %s: %s → %s", what, *d.From, *d.To)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// line keeps a text on one line and from moving the cursor, or the order of what is read, of whoever reads it.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
}

// Invalid makes the plan of a service whose file is invalid and of which nothing else is known.
func Invalid(name string, errs []desired.Error) Service {
	return Of(Rehearsed{Service: name, Invalid: errs})
}
