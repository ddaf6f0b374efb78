package server

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

func (p servicePage) html() g.Node {
	return p.around(
		h.H1(g.Text(p.Status.Service+" "), phaseSign(p.Phase)),
		h.P(h.Class("why"), g.Text(p.Why)),
		g.If(p.Status.Next != "", h.P(h.Class("todo"), h.Strong(g.Text("What to do:")), g.Text(" "+p.Status.Next))),
		h.Dl(h.Class("facts"), p.facts()),
		p.troubles(),
		p.flight(),
		p.refused(),
		p.past(),
		g.If(len(p.Rejected) > 0, section("rejected", "Rejected", h.Ul(g.Map(p.Rejected, p.rejection)))),
		p.account(),
		p.asks(),
		section("conditions", "Conditions", table("stack conditions", "What alerts and scripts read", columns("Condition", "Status", "Reason and message"),
			g.Map(p.Conditions, func(c condition.Condition) g.Node {
				return h.Tr(rowHead(g.Text(string(c.Type))), cell(string(c.Status)), cell(c.Reason+given(": ", c.Message, "")))
			}))),
	)
}

func (p servicePage) facts() g.Node {
	wanted := g.Text(versionWords(p.Wanted))
	if differs(p.Status) {
		wanted = h.Span(h.Class("asked"), wanted)
	}
	out := g.Group{fact("Runs", g.Text(p.Row.Runs)), fact("git asks", wanted)}
	if good := p.Good; good != nil {
		out = append(out, fact("Last good", g.Text(named(good.Images, good.Commit)+given(" “", good.Commit.Subject, "”")+" for "),
			moment(good.At, age(p.Now, good.At)), g.Text(" "), h.Small(g.Text(tail(good.Revision)))))
	}
	since := g.Group{g.Text("–")}
	if !p.Since.IsZero() {
		since = g.Group{g.Text("for "), moment(p.Since, age(p.Now, p.Since))}
	}
	pending := ""
	if p.Observed.Pending != 0 {
		pending = fmt.Sprintf(", %d pending", p.Observed.Pending)
	}
	out = append(out,
		fact(string(p.Phase), since),
		fact("Next", g.Text(cmp.Or(p.Row.Next, "–"))),
		fact("Tasks", g.Textf("%d of %d running%s; seen ", p.Observed.Running, p.Observed.Desired, pending), ago(p.Now, p.Observed.At)),
	)
	for _, name := range slices.Sorted(maps.Keys(p.Labels)) {
		out = append(out, fact(name, g.Text(p.Labels[name])))
	}
	return out
}

// troubles are why the service does not move, where it does not.
func (p servicePage) troubles() g.Node {
	var out g.Group
	if len(p.Service.Invalid) > 0 {
		out = append(out, section("invalid", "Its file is invalid", h.Class("alert"), h.Ul(mistakes(p.Service.Invalid))))
	}
	if s := p.Stalled; s != nil {
		out = append(out, alert(g.Text("Stalled "), ago(p.Now, s.At), g.Text(": "+s.Message)))
	}
	if b := p.Blocked; b != nil {
		out = append(out, alert(g.Textf("Blocked after %s, tried again %s: %s",
			counted(b.Attempts, "attempt", "attempts"), Until(p.Now, b.Until), b.Message)))
	}
	if t := p.Trouble; t != nil {
		out = append(out, alert(g.Textf("%s failed since %s, tried again %s: %s",
			counted(t.Attempts, "pass", "passes in a row"), clock(t.Since), Until(p.Now, t.NextAt), t.Message)))
	}
	if d := p.Drift; d != nil {
		out = append(out, alert(g.Textf("Since %s a deployment runs that git did not ask for: ", clock(d.Since)), code(tail(d.TaskDefinition))))
	}
	return out
}

// numbered links to a rollout of the service.
func (p servicePage) numbered(number int) g.Node {
	return link(rolloutPath(p.Status.Service, number), g.Textf("#%d", number))
}

// flight is the rollout in flight, if there is one.
func (p servicePage) flight() g.Node {
	r := p.Rollout
	if r == nil {
		return nil
	}
	limits := ""
	if !r.Deadline.IsZero() {
		limits += " Deadline " + Until(p.Now, r.Deadline) + "."
	}
	if !r.BakeUntil.IsZero() {
		limits += " Watched until " + clock(r.BakeUntil) + "."
	}
	var failure g.Group
	if r.Failure != nil {
		failure = g.Group{h.H3(g.Text("Why it failed")), evidence(r.Failure)}
	}
	return h.Section(h.Aria("labelledby", "rollout"),
		h.H2(h.ID("rollout"), g.Text(string(r.Kind)+" "), p.numbered(r.Number), g.Text(" in flight")),
		h.P(g.Text("“"+r.Commit.Subject+"” "), code(r.Commit.Short()), g.Text(given(" by ", r.Commit.Author, "")),
			g.Textf(", because of %s, begun ", r.Trigger), ago(p.Now, r.StartedAt), g.Text("."+limits)),
		railOf(p.Stages, p.Now),
		checks(r.Readings, p.Now),
		failure,
	)
}

// refused is why the newest ask does not run, where a rollout tells it.
func (p servicePage) refused() g.Node {
	e := p.Refused
	if e == nil {
		return nil
	}
	return section("refused", "Why "+named(e.Images, e.Commit)+" does not run", h.Class("alert"),
		h.P(g.Text(string(e.Kind)+" "), p.numbered(e.Number), g.Text(" "+string(e.Result)+" "), ago(p.Now, e.EndedAt),
			g.Text(": “"+e.Commit.Subject+"” "), code(e.Commit.Short()), g.Text(given(" by ", e.Commit.Author, ""))),
		evidence(e.Evidence),
	)
}

// past is the history of rollouts as chart and table.
func (p servicePage) past() g.Node {
	var out g.Group
	if p.HistoryError != "" {
		out = append(out, alert(g.Text(p.HistoryError)))
	}
	if p.Chart != nil {
		out = append(out, p.Chart.html())
	}
	switch {
	case len(p.History) > 0:
		out = append(out, table("stack history", "Finished rollouts, newest first",
			columns("#", "Result", "Version", "Started", "Message"), g.Map(p.History, p.entry)))
	case p.HistoryError == "":
		out = append(out, h.P(g.Text("No rollout has ended yet.")))
	}
	return section("history", "History", out)
}

func (p servicePage) entry(e Entry) g.Node {
	message := g.Text(e.Message)
	if e.Evidence != nil {
		message = h.Details(h.ID(fmt.Sprintf("evidence-%d", e.Number)), h.Summary(message), evidence(e.Evidence))
	}
	return h.Tr(h.ID(fmt.Sprintf("rollout-%d", e.Number)),
		rowHead(link(rolloutPath(p.Status.Service, e.Number), g.Textf("%d", e.Number))),
		h.Td(g.Text(string(e.Kind)+" "), h.Strong(g.Text(string(e.Result)))),
		h.Td(g.Text(tagsOf(e.Images)+" "), code(e.Commit.Short()), g.Text(" "+e.Commit.Subject), small(e.Commit.Author)),
		h.Td(date(e.StartedAt), small("took "+took(e.StartedAt, e.EndedAt))),
		h.Td(message),
	)
}

func (p servicePage) rejection(r rollout.Rejection) g.Node {
	return h.Li(g.If(r.Commit != "", g.Group{code(short(r.Commit)), g.Text(" ")}),
		g.Text("by "+cmp.Or(r.Check, "an earlier controller")+", "), ago(p.Now, r.At), g.Text(": "+r.Message))
}

// account is what the account showed, where it showed more than counts.
func (p servicePage) account() g.Node {
	o := p.Observed
	if len(o.Deployments)+len(o.Tasks)+len(o.Targets)+len(o.Alarms)+len(o.Missing) == 0 {
		return nil
	}
	return section("observed", "What the account showed",
		g.Map(o.Missing, func(m status.Missing) g.Node { return alert(g.Text(m.Fact + " could not be read: " + m.Message)) }),
		g.If(len(o.Deployments) > 0, table("stack", "Deployments",
			columns("Id", "Revision", "State", "Running", "Failed", "Created"), g.Map(o.Deployments, p.deployment))),
		g.If(len(o.Tasks) > 0, table("stack", "Newest tasks",
			columns("Task", "Revision", "Status", "Health", "Stopped because"), g.Map(o.Tasks, task))),
		g.If(len(o.Targets) > 0, g.Group{h.H3(g.Text("Targets")), items(o.Targets, targetWords)}),
		g.If(len(o.Alarms) > 0, g.Group{h.H3(g.Text("Alarms")), items(o.Alarms, alarmWords)}),
	)
}

func (p servicePage) deployment(d status.Deployment) g.Node {
	return h.Tr(
		rowHead(code(tail(d.ID)), g.If(d.Primary, g.Text(" primary"))), cell(tail(d.TaskDefinition)), cell(d.Rollout+" "+d.Reason),
		labelled("Running", g.Textf("%d of %d", d.Running, d.Desired)), labelled("Failed", g.Textf("%d", d.Failed)),
		labelled("Created", ago(p.Now, d.CreatedAt)),
	)
}

func task(t status.Task) g.Node {
	return h.Tr(rowHead(code(t.ID)), cell(tail(t.TaskDefinition)), cell(t.LastStatus), labelled("Health", g.Text(t.Health)),
		cell(t.StopCode+" "+t.StoppedReason))
}

func targetWords(t status.Target) string {
	return fmt.Sprintf("%s:%d %s%s", t.ID, t.Port, t.State, given(": ", t.Reason, ""))
}

// asks is what git asks beside what runs.
func (p servicePage) asks() g.Node {
	return g.If(len(p.Differences) > 0, section("asks", "What git asks and what runs", table("stack", "Of secrets the reference; what differs is marked",
		columns("Container", "What", "git asks", "Runs"), g.Map(p.Differences, difference.html))))
}

func (d difference) html() g.Node {
	what := g.Text(d.What)
	if d.Key {
		what = code(d.What)
	}
	return h.Tr(g.If(d.Differs, h.Class("differs")), rowHead(g.Text(d.Container)),
		h.Td(what, g.If(d.Differs, g.Group{g.Text(" "), h.Strong(g.Text("≠ differs"))})),
		labelled("git asks", g.Text(cmp.Or(d.Asked, "–"))), labelled("Runs", g.Text(cmp.Or(d.Runs, "–"))))
}
