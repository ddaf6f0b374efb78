package server

import (
	"cmp"
	"fmt"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// around is the whole page with its content.
func (f frame) around(content ...g.Node) g.Node {
	return h.Doctype(h.HTML(h.Lang("en"), f.head(), h.Body(
		h.A(h.Class("skip"), h.Href("#content"), g.Text("Skip to content")),
		f.banner(),
		h.Main(h.ID("content"), f.notices(), g.Group(content), f.footer()),
	)))
}

func (f frame) head() g.Node {
	return h.Head(
		h.Meta(h.Charset("utf-8")),
		h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
		h.Meta(h.Name("color-scheme"), h.Content("light dark")),
		h.TitleEl(g.Text(f.Title+" · "+f.Environment+" · deploy")),
		h.Link(h.Rel("icon"), h.Href("/static/icon.svg"), h.Type("image/svg+xml")),
		h.StyleEl(g.Raw(styleSheet)), // ours, with no word of anybody else's
		h.Script(h.Src("/static/page.js"), h.Defer()),
		h.NoScript(h.Meta(g.Attr("http-equiv", "refresh"), h.Content("30"))),
	)
}

func (f frame) banner() g.Node {
	return h.Header(
		h.Nav(h.Aria("label", "Pages"),
			h.P(h.Class("where"), h.A(h.Href("/"), g.Text("deploy")), g.Text(" "), h.Strong(g.Text(f.Environment))),
			h.P(h.A(h.Href("/activity"), g.Text("activity")), g.Text(" "), h.A(h.Href("/controller"), g.Text("controller")),
				g.If(f.Peers, g.Group{g.Text(" "), h.A(h.Href("/environments"), g.Text("environments"))})),
		),
		h.Form(h.Role("search"), h.Action("/"), h.Method("get"),
			h.Label(h.For("q"), g.Text("Find")), g.Text(" "),
			h.Input(h.ID("q"), h.Name("q"), h.Type("search"), h.Value(f.Query), h.Placeholder("name, phase, tag or commit"), h.MaxLength("100")),
		),
	)
}

// notices are what keeps the controller from its work, and what a reader must know of everything else on the page.
func (f frame) notices() g.Node {
	var out g.Group
	switch {
	case len(f.NotReady) > 0:
		out = append(out, section("waits", "The controller does not work now", h.Class("alert"), h.Role("alert"), items(f.NotReady, itself)))
	case f.Repo.Error != "":
		out = append(out, alert(h.Role("alert"), g.Text("git cannot be fetched, what it asked last counts: "+f.Repo.Error)))
	}
	if f.Lease.Standby() {
		out = append(out, f.standby())
	}
	if f.Events != nil && f.Events.Listens && f.Events.Error != "" {
		out = append(out, alert(h.Role("status"),
			g.Text("The queue of events cannot be read, services are looked at at the ordinary pace: "+f.Events.Error)))
	}
	return out
}

// standby tells who acts instead of this controller.
func (f frame) standby() g.Node {
	who := g.Group{g.Text(", and none acts now")}
	if f.Lease.Leader != "" {
		who = g.Group{g.Text(": "), h.Strong(g.Text(f.Lease.Leader)), g.Text(" acts")}
	}
	return alert(h.Role("status"), g.Text("This controller stands by"), who,
		g.If(!f.Lease.ReadAt.IsZero(), g.Group{g.Text("; services as of "), ago(f.Now, f.Lease.ReadAt)}),
		g.Text(given("; the lease is not known: ", f.Lease.Error, "")))
}

func (f frame) footer() g.Node {
	out := g.Group{h.P(f.fetched())}
	if f.Lease != nil && !f.Lease.Standby() {
		out = append(out, h.P(g.Text(f.Lease.Leader+" acts, "+f.held())))
	}
	if f.Events != nil && f.Events.Listens {
		out = append(out, h.P(f.pace()))
	}
	return h.Footer(out, h.P(
		g.Text("As of "+clock(f.Now)+" · controller "+cmp.Or(f.Version, "of unknown version")+" · "),
		h.A(h.Href("/api/v1/services"), g.Text("API")), g.Text(" · "), h.A(h.Href("/metrics"), g.Text("metrics")), g.Text(" "), h.Span(h.ID("live")),
	))
}

// fetched is what git's head was when it was read last.
func (f frame) fetched() g.Node {
	if f.Repo.Head.SHA == "" {
		return g.Text("git was not read yet")
	}
	return g.Group{
		g.Text("git "), f.commit(), g.Text(", fetched "), ago(f.Now, f.Repo.FetchedAt), g.Text(given(" from ", f.Repo.Source, "")),
	}
}

// commit is git's head.
func (f frame) commit() g.Node {
	return g.Group{code(f.Repo.Head.Short()), g.Text(" “" + f.Repo.Head.Subject + "”" + given(" by ", f.Repo.Head.Author, ""))}
}

// held is the lease of a controller that acts.
func (f frame) held() string {
	return fmt.Sprintf("lease %d since %s", f.Lease.Fence, clock(f.Lease.Since))
}

// pace is how often settled services are looked at where a queue of events is read.
func (f frame) pace() g.Node {
	newest := g.Group{g.Text("No event has come yet")}
	if !f.Events.LastAt.IsZero() {
		newest = g.Group{g.Text("Newest event "), ago(f.Now, f.Events.LastAt)}
	}
	pace := "at the ordinary pace"
	if f.Events.Slow {
		pace = "less often while events come"
	}
	return g.Group{newest, g.Text("; settled services are looked at " + pace)}
}
