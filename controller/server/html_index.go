package server

import (
	"cmp"
	"net/url"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

func (p indexPage) html() g.Node {
	return p.around(
		h.H1(g.Text(counted(p.Total, "service", "services"))),
		g.If(len(p.Phases) > 0, h.P(h.Class("counts"), g.Map(p.Phases, phaseCount.html))),
		g.If(len(p.Invalid) > 0, section("invalid", "Invalid files", h.Class("alert"), mistakesOf(p.Invalid))),
		p.services(),
		g.If(len(p.Activity) > 0, section("activity", "Activity",
			happened(p.Now, p.Activity),
			h.P(h.A(h.Href("/activity"), g.Text("All activity"))),
		)),
	)
}

func (c phaseCount) html() g.Node {
	find := address(url.Values{"q": {string(c.Phase)}})
	return g.Group{link(find, phaseSign(c.Phase), g.Textf(" %d", c.Count)), g.Text(" ")}
}

// services are the rows. The style sheet makes them a grid, which has no roles by itself.
func (p indexPage) services() g.Node {
	switch {
	case p.Rows == nil && p.Query != "":
		return h.P(g.Text("No service matches “"+p.Query+"”. "), h.A(h.Href("/"), g.Text("Show all")))
	case p.Rows == nil:
		return h.P(g.Text("No service is known yet."))
	}
	heads := g.Map([]string{"Service", "Phase", "Runs", "Why", "Next"}, func(name string) g.Node { return h.Th(h.Role("columnheader"), g.Text(name)) })
	return h.Div(h.Class("wide"), h.Table(h.Class("stack services"), h.Role("table"),
		h.Caption(g.Text("What runs, since when, why, and what comes next; worst first")),
		h.THead(h.Role("rowgroup"), h.Tr(h.Role("row"), heads)),
		h.TBody(h.Role("rowgroup"), each(p.Rows, p.service)),
	))
}

func (p indexPage) service(r row) g.Node {
	asks := g.Group{}
	if differs(r.Status) {
		asks = g.Group{g.Text(" "), h.Span(h.Class("asked"), g.Text("git asks "+versionWords(r.Wanted)))}
	}
	return h.Tr(h.Role("row"),
		h.Th(h.Role("rowheader"), link(servicePath(r.Service), g.Text(r.Service))),
		h.Td(h.Role("cell"), phaseSign(r.Phase), lasts("for ", p.Now, r.Since)),
		h.Td(h.Role("cell"), h.Data("label", "Runs"), g.Text(r.Runs), lasts("good for ", p.Now, r.GoodAt), asks),
		h.Td(h.Role("cell"), g.Text(r.Words())),
		h.Td(h.Role("cell"), h.Data("label", "Next"), g.Text(cmp.Or(r.Next, "–"))),
	)
}
