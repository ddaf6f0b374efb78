package server

import (
	"cmp"
	"fmt"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

func (p controllerPage) html() g.Node {
	invalid, throttled := h.P(g.Text("None.")), h.P(g.Text("Never since this process began."))
	if len(p.Invalid) > 0 {
		invalid = mistakesOf(p.Invalid)
	}
	if len(p.API.Throttles) > 0 {
		throttled = items(p.API.Throttles, throttles.words)
	}
	return p.around(
		h.H1(g.Text("The controller")),
		h.Dl(h.Class("facts"), p.facts()),
		section("invalid", "Invalid files", invalid),
		section("throttles", "Throttled by AWS", throttled),
		g.If(p.API.Error != "", alert(g.Text("Not every number could be gathered: "+p.API.Error))),
		g.If(len(p.API.Budgets) > 0, section("budgets", "API budgets", table("stack",
			"What the controller allows itself now; less than its share for a while after AWS has throttled it",
			columns("Budget", "Requests a second", "Waiting"), g.Map(p.API.Budgets, budget.html)))),
	)
}

func (p controllerPage) facts() g.Node {
	out := g.Group{
		fact("Acts", g.Text(p.acts())),
		fact("Ready", g.Text(either(len(p.NotReady) == 0, "yes", "no"))),
		fact("Version", g.Text(cmp.Or(p.Version, "unknown"))),
		fact("Services", g.Textf("%d", p.Services)),
	}
	if q := p.Queue; q != nil {
		words := fmt.Sprintf("%d wait, %d are due, %d are looked at now", q.Queued, q.Due, q.Held)
		if !q.Oldest.IsZero() {
			words += "; the oldest has been due for " + age(p.Now, q.Oldest)
		}
		out = append(out, fact("Queue", g.Text(words)))
	}
	if p.LedgerWritten != nil {
		out = append(out, fact("Ledger", g.Text(either(*p.LedgerWritten, "can be written", "cannot be written"))))
	}
	head := g.Group{g.Text("not read yet")}
	if p.Repo.Head.SHA != "" {
		head = g.Group{p.commit(), g.Text(", committed "), ago(p.Now, p.Repo.Head.At)}
	}
	return append(out,
		fact("git head", head),
		fact("Fetched", ago(p.Now, p.Repo.FetchedAt), g.Text(given(" from ", p.Repo.Source, "")+given("; the last fetch failed: ", p.Repo.Error, ""))),
		fact("AWS requests", g.Textf("%.0f since this process began", p.API.Requests)),
	)
}

// acts is which controller does.
func (p controllerPage) acts() string {
	switch {
	case p.Lease == nil:
		return "this one, alone on its ledger"
	case p.Lease.Standby():
		return cmp.Or(p.Lease.Leader, "nobody") + "; this one stands by"
	default:
		return "this one, " + p.Lease.Leader + ", " + p.held()
	}
}

func either(is bool, so, otherwise string) string {
	if is {
		return so
	}
	return otherwise
}

func (t throttles) words() string {
	return fmt.Sprintf("%s: %.0f %s", t.Call, t.Count, either(t.Count == 1, "time", "times"))
}

func (b budget) html() g.Node {
	return h.Tr(rowHead(g.Text(b.Name)), labelled("Requests a second", g.Textf("%.2f", b.PerSecond)), labelled("Waiting", g.Textf("%.0f", b.Waiting)))
}
