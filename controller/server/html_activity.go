package server

import (
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/canteen/deploy/controller/status"
)

func (p activityPage) html() g.Node {
	return p.around(
		h.H1(g.Text("Activity")),
		h.Form(h.Class("filter"), h.Action("/activity"), h.Method("get"), h.P(
			h.Label(h.For("words"), g.Text("Words")), g.Text(" "),
			h.Input(h.ID("words"), h.Name("q"), h.Type("search"), h.Value(p.Words), h.MaxLength("100")), g.Text(" "),
			h.Label(h.For("kind"), g.Text("Kind")), g.Text(" "),
			h.Select(h.ID("kind"), h.Name("kind"), h.Option(h.Value(""), g.Text("all")), g.Map(p.Kinds, p.option)), g.Text(" "),
			h.Button(g.Text("Show")),
		)),
		h.P(g.Text(counted(len(p.Entries), "entry", "entries")+", newest first; as "),
			link(address(p.Same, "api", "v1", "activity"), g.Text("JSON")), g.Text(" or "),
			link(address(p.Same, "api", "v1", "activity.csv"), g.Text("CSV"))),
		happened(p.Now, p.Entries),
	)
}

func (p activityPage) option(kind status.EventKind) g.Node {
	return h.Option(g.If(kind == p.Kind, h.Selected()), g.Text(string(kind)))
}
