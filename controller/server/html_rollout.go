package server

import (
	"cmp"
	"fmt"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

func (p rolloutPage) html() g.Node {
	var content g.Group
	if p.Flight != nil {
		content = append(content, p.flight(p.Flight))
	}
	if p.Entry != nil {
		content = append(content, p.ended(p.Entry))
	}
	content = append(content, p.answers())
	if p.Entry != nil {
		content = append(content, timeline(p.Entry))
	}
	return p.around(
		h.H1(link(servicePath(p.Service), g.Text(p.Service)), g.Textf(" rollout #%d", p.Number)),
		content,
		h.Nav(h.Aria("label", "Rollouts"), h.P(p.neighbour(p.Before, "prev", "← #%d %s %s"), g.Text(" "), p.neighbour(p.After, "next", "#%d %s %s →"))),
	)
}

// flight is a rollout in flight.
func (p rolloutPage) flight(r *Rollout) g.Node {
	out := g.Group{
		h.P(h.Class("why"), g.Textf("%s in flight, because of %s: %s", r.Kind, r.Trigger, named(r.Images, r.Commit))),
		railOf(p.Stages, p.Now),
		h.Dl(h.Class("facts"), commitFact(r.Commit),
			fact("Began", date(r.StartedAt)),
			g.If(r.Deployment != "", fact("Deployment", code(tail(r.Deployment)))),
			g.If(r.Revision != "", fact("Revision", g.Text(tail(r.Revision)))),
			g.If(r.Migration != "", fact("Migration", g.Text("task "), code(tail(r.Migration)))),
		),
		checks(r.Readings, p.Now),
		migrated(r.Output),
	}
	if r.Failure != nil {
		out = append(out, section("evidence", "Why it failed", evidence(r.Failure)))
	}
	return out
}

// ended is a rollout that ended.
func (p rolloutPage) ended(e *Entry) g.Node {
	out := g.Group{
		h.P(h.Class("why"), g.Text(string(e.Kind)+" "), h.Strong(g.Text(string(e.Result))), g.Text(": "+e.Message)),
		railOf(p.Stages, p.Now),
		h.Dl(h.Class("facts"), commitFact(e.Commit), imageFacts(e),
			fact("Because of", g.Text(string(e.Trigger))),
			fact("Began", date(e.StartedAt)),
			fact("Ended", date(e.EndedAt), g.Text(" after "+took(e.StartedAt, e.EndedAt))),
			g.If(e.Migration != "", fact("Migration", g.Text(e.Migration),
				g.If(e.Task != "", g.Group{g.Text(" "), h.Small(g.Text("task "), code(tail(e.Task)))}))),
			g.If(e.Deployment != "", fact("Deployment", code(tail(e.Deployment)))),
			g.If(e.Revision != "", fact("Revision", g.Text(tail(e.Revision)))),
			fact("Ask", code(e.Ask)),
		),
	}
	if why := e.Evidence; why != nil {
		out = append(out, section("evidence", "Why it failed",
			h.P(g.Text("Check "), h.Strong(g.Text(cmp.Or(why.Check, "of an earlier controller"))), g.Text(given(", ", string(why.Class), "’s fault")+
				", found "+clock(why.At)), g.If(!why.Complete, g.Text("; not everything could be read"))),
			evidence(why)))
	}
	return append(out, checks(e.Readings, e.EndedAt), migrated(e.Output))
}

// imageFacts are an entry's images. An earlier controller kept no digests, and not every image tells what it was built of.
func imageFacts(e *Entry) g.Node {
	var out g.Group
	nth := func(words string, list []string, i int) g.Node {
		if i >= len(list) || list[i] == "" {
			return nil
		}
		return g.Group{g.Text(words), code(list[i])}
	}
	for i, image := range e.Images {
		out = append(out, fact("Image", g.Text(image), nth(" ", e.Digests, i), nth(" built of commit ", e.Built, i)))
	}
	return out
}

// answers are the rollouts that have to do with this one: what it answers, and what was or is done about it.
func (p rolloutPage) answers() g.Node {
	var out g.Group
	to := func(kind rollout.Kind, number int) g.Node {
		return link(rolloutPath(p.Service, number), g.Textf("%s #%d", kind, number))
	}
	if e := p.Cause; e != nil {
		out = append(out, section("cause", "What it answers", h.P(to(e.Kind, e.Number), g.Textf(" %s: %s", e.Result, e.Message))))
	}
	if e := p.Answer; e != nil {
		out = append(out, section("answer", "What the controller did",
			h.P(to(e.Kind, e.Number), g.Textf(" %s within %s: %s", e.Result, took(e.StartedAt, e.EndedAt), e.Message), small(tail(e.Revision)))))
	}
	if r := p.Putting; r != nil {
		out = append(out, section("answer", "What the controller does",
			h.P(to(r.Kind, r.Number), g.Textf(" is in flight: %s is put back", named(r.Images, r.Commit)))))
	}
	return out
}

// timeline is what happened when.
func timeline(e *Entry) g.Node {
	var out g.Group
	if !e.Commit.At.IsZero() {
		out = append(out, h.Li(date(e.Commit.At), g.Text(" "), h.Span(g.Text("committed"))))
	}
	for _, s := range e.Spans {
		out = append(out, h.Li(date(s.From), g.Text(" "), h.Span(g.Textf("%s, %s", s.Stage, took(s.From, s.To)))))
	}
	if !e.BakeFrom.IsZero() {
		out = append(out, h.Li(date(e.BakeFrom), g.Text(" "), h.Span(g.Text("every check passed"))))
	}
	if e.Evidence != nil {
		out = append(out, h.Li(date(e.Evidence.At), g.Text(" "), h.Span(g.Text(e.Evidence.Check+" failed"))))
	}
	out = append(out, h.Li(date(e.EndedAt), g.Text(" "), h.Span(g.Text(string(e.Result)))))
	return section("timeline", "Timeline", h.Ol(h.Class("activity timeline"), out))
}

func (p rolloutPage) neighbour(e *Entry, rel, words string) g.Node {
	if e == nil {
		return nil
	}
	return link(rolloutPath(p.Service, e.Number), h.Rel(rel), g.Text(fmt.Sprintf(words, e.Number, e.Kind, e.Result)))
}

// named is a version as people name it: its tags, else its commit.
func named(images []string, c desired.Commit) string { return cmp.Or(tagsOf(images), c.Short()) }

func commitFact(c desired.Commit) g.Node { return fact("Commit", code(c.Short()), g.Text(wrote(c))) }
