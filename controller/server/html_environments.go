package server

import (
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

func (p environmentsPage) html() g.Node {
	return p.around(
		h.H1(g.Text("A change’s way")),
		g.Map(p.Environments, func(e environment) g.Node {
			return g.If(e.Error != "", alert(g.Text(e.Name+" does not tell: "+e.Error)))
		}),
		p.ways(),
	)
}

func (p environmentsPage) ways() g.Node {
	if len(p.Ways) == 0 {
		return h.P(g.Text("No service matches."))
	}
	heads := g.Group{columns("Service", "Change"), g.Map(p.Environments, func(e environment) g.Node {
		if e.URL == "" {
			return column(g.Text(e.Name))
		}
		return column(link(e.URL+"/", g.Text(e.Name)))
	})}
	return table("stack", "The newest version that the first environment that has the service asks for, and how far it has come", heads, each(slices.Values(p.Ways), p.way))
}

func (p environmentsPage) way(w way) g.Node {
	steps := make(g.Group, len(w.Steps))
	for i, s := range w.Steps {
		steps[i] = labelled(p.Environments[i].Name, p.step(s))
	}
	return h.Tr(rowHead(g.Text(w.Service)), labelled("Change", g.Group{g.Text(versionWords(w.Change)), small(w.doubt())}), steps)
}

// doubt says whose the change is where an environment before might ask for a newer one.
func (w way) doubt() string {
	switch last := len(w.Silent) - 1; {
	case last < 0:
		return ""
	case last == 0:
		return "what " + w.Asks + " asks for; " + w.Silent[0] + " does not tell"
	default:
		return "what " + w.Asks + " asks for; " + strings.Join(w.Silent[:last], ", ") + " and " + w.Silent[last] + " do not tell"
	}
}

func (p environmentsPage) step(s step) g.Node {
	if s.Status.Service == "" {
		return g.Text(s.Mark)
	}
	out := g.Group{link(s.URL, g.Text(s.Mark)), g.Text(" "), phaseSign(s.Status.Phase)}
	if s.Mark != stepRuns {
		out = append(out, small(versionWords(s.Status.Running)))
	}
	if !s.Status.Since.IsZero() {
		out = append(out, small("for "+age(p.Now, s.Status.Since)))
	}
	return out
}
