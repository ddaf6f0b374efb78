package server

import (
	"fmt"
	"io"
	"iter"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/status"
)

// each makes and writes one node after the other, so that a page of any length takes the memory of one of them. It ends where the writer
// fails.
func each[T any](list iter.Seq[T], of func(T) g.Node) g.Node {
	return g.NodeFunc(func(w io.Writer) error {
		for item := range list {
			if err := of(item).Render(w); err != nil {
				return err // the writer's own, for whoever handed it in
			}
		}
		return nil
	})
}

// given is a text between two others, and nothing where there is none.
func given(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func code(text string) g.Node { return h.Code(g.Text(text)) }

// section is a part of a page with its heading. Attributes among the content are the section's.
func section(id, title string, content ...g.Node) g.Node {
	return h.Section(h.Aria("labelledby", id), h.H2(h.ID(id), g.Text(title)), g.Group(content))
}

// alert is a paragraph that is to be seen first. Attributes among the content are the paragraph's.
func alert(content ...g.Node) g.Node { return h.P(h.Class("alert"), g.Group(content)) }

// items is a list of texts.
func items[T any](list []T, words func(T) string) g.Node {
	return h.Ul(g.Map(list, func(item T) g.Node { return h.Li(g.Text(words(item))) }))
}

func itself(text string) string { return text }

// output is what a program wrote, line by line.
func output(lines []string) g.Node {
	return h.Pre(g.Map(lines, func(line string) g.Node { return g.Text(line + "\n") }))
}

// fact is a line of a list of facts.
func fact(name string, words ...g.Node) g.Node {
	return g.Group{h.Dt(g.Text(name)), h.Dd(words...)}
}

// table scrolls where it is wider than the window. On a narrow window its rows become paragraphs.
func table(class, caption string, heads, rows g.Node) g.Node {
	return h.Div(h.Class("wide"), h.Table(h.Class(class), h.Caption(g.Text(caption)), h.THead(h.Tr(heads)), h.TBody(rows)))
}

func columns(names ...string) g.Node {
	return g.Map(names, func(name string) g.Node { return column(g.Text(name)) })
}

func column(name g.Node) g.Node { return h.Th(h.Scope("col"), name) }

// rowHead is the cell that names its row.
func rowHead(words ...g.Node) g.Node { return h.Th(h.Scope("row"), g.Group(words)) }

func cell(words string) g.Node { return h.Td(g.Text(words)) }

// labelled is a cell that does not speak for itself: where there are no columns, the label is said before it.
func labelled(label string, content ...g.Node) g.Node {
	return h.Td(h.Data("label", label), g.Group(content))
}

// sign is a word with a glyph. The colour only supports both.
func sign(tone, glyph, word string) g.Node {
	return h.Span(h.Class("phase "+tone), h.Span(h.Aria("hidden", "true"), g.Text(glyph)), g.Text(" "+word))
}

func phaseSign(p condition.Phase) g.Node { return sign(tone(p), p.Glyph(), string(p)) }

// moment is a time in words that grow old; whoever points at them sees the time itself.
func moment(at time.Time, words string) g.Node {
	return h.Time(h.DateTime(stamp(at)), h.Title(clock(at)), g.Text(words))
}

// date is a time as it is.
func date(at time.Time) g.Node { return h.Time(h.DateTime(stamp(at)), g.Text(clock(at))) }

// ago is how long ago a time was; a dash for one that never was.
func ago(now, at time.Time) g.Node {
	if at.IsZero() {
		return g.Text("–")
	}
	return moment(at, age(now, at)+" ago")
}

// lasts is since when something is so, in small letters behind it; nothing for a time that never was.
func lasts(words string, now, at time.Time) g.Node {
	if at.IsZero() {
		return nil
	}
	return g.Group{g.Text(" "), h.Small(g.Text(words), moment(at, age(now, at)))}
}

// small is a text in small letters behind another; nothing where it is empty.
func small(text string) g.Node {
	return g.If(text != "", g.Group{g.Text(" "), h.Small(g.Text(text))})
}

// wrote is a commit's subject, where it has one, and its author.
func wrote(c desired.Commit) string {
	return given(" “", c.Subject, "”") + given(" by ", c.Author, "")
}

// mistakes are the items of a list of what is wrong in files.
func mistakes(errors []desired.Error) g.Node {
	return g.Map(errors, func(e desired.Error) g.Node {
		return h.Li(code(fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Col)), g.Text(" "+e.Message))
	})
}

func mistakesOf(files []invalidFile) g.Node {
	return h.Ul(g.Map(files, func(f invalidFile) g.Node { return mistakes(f.Errors) }))
}

// happened lists events.
func happened(now time.Time, events []status.Event) g.Node {
	return h.Ol(h.Class("activity"), g.Map(events, func(e status.Event) g.Node {
		return h.Li(ago(now, e.At), g.Text(" "), h.Span(whose(e), what(e), g.Text(e.Message),
			g.If(e.Commit != "", g.Group{g.Text(" "), code(short(e.Commit))})))
	}))
}

func whose(e status.Event) g.Node {
	switch {
	case e.Service != "":
		return g.Group{link(servicePath(e.Service), g.Text(e.Service)), g.Text(" ")}
	case e.Kind == status.EventRepository:
		return g.Text("git: ")
	default:
		return g.Text("controller: ")
	}
}

func what(e status.Event) g.Node {
	switch {
	case e.Result != "":
		return g.Group{
			g.Text(string(e.Rollout) + " "), link(rolloutPath(e.Service, e.Number), g.Textf("#%d", e.Number)), g.Text(" "),
			h.Strong(g.Text(string(e.Result))), g.Text(": "),
		}
	case e.Phase != "":
		return g.Group{phaseSign(e.Phase), g.Text(" ")}
	default:
		return nil
	}
}
