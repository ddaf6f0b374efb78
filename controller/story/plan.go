package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/rehearsal"
	"github.com/canteen/deploy/controller/rollout"
)

// sentAs are the requests that the steps of a plan are sent as.
var sentAs = map[string]string{
	"register": "RegisterTaskDefinition", "run migration": "RunTask", "tag": "TagResource", "roll": "UpdateService", "keep parameter": "PutParameter",
}

// The sources of a plan.
const (
	byController = "controller"
	byAccount    = "account"
)

// planVerbs are the lines about plans.
func planVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`expect (?:(\w+) )?plan(?: of the (controller|account))?: (.+)`: func(t *Telling, a []string) error { return t.expectPlan(or(a[0]), a[1], a[2]) },
		`expect the plan to come true`:                                  func(t *Telling, _ []string) error { return t.comesTrue() },
	})
}

// expectPlan plans what the repository's files say now, both ways where none is named, and holds the plans to the text: what
// is done at once, "waits for" and what for, "then" and what is done after that; or the effect, where nothing is done.
func (t *Telling) expectPlan(service, source, want string) error {
	for _, from := range []string{byController, byAccount} {
		if source != "" && from != source {
			continue
		}
		got, err := t.planOf(service, from)
		if err != nil {
			return err
		}
		if text := inShort(got); text != want {
			return fmt.Errorf("the plan of the %s is %q (%s), want %q", from, text, got.Summary, want)
		}
		t.planned, t.plannedAt = got.Now, t.Observer.sent()
	}
	return nil
}

// inShort is a plan in the words of a story.
func inShort(s plan.Service) string {
	var parts []string
	if len(s.Now) > 0 {
		parts = append(parts, doing(s.Now))
	}
	if len(s.Holds) > 0 {
		var holds []string
		for _, h := range s.Holds {
			holds = append(holds, h.Said)
		}
		parts = append(parts, "waits for "+strings.Join(holds, ", "))
	}
	if len(s.Then) > 0 {
		parts = append(parts, "then "+doing(s.Then))
	}
	if len(parts) == 0 {
		return string(s.Effect)
	}
	return strings.Join(parts, "; ")
}

func doing(steps []plan.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Do)
	}
	return strings.Join(out, ", ")
}

// planOf plans one service of the files as they are. It is an error where that writes anything.
func (w *World) planOf(service, source string) (plan.Service, error) {
	snapshot := desired.Load(os.DirFS(w.repo.path("")), app.Kinds())
	if snapshot.Environment == nil {
		return plan.Service{}, errors.New("environment.yaml is invalid")
	}
	var known []rehearsal.Known
	if source == byController {
		var err error
		if known, err = w.told(func(string) bool { return true }); err != nil {
			return plan.Service{}, err
		}
	}
	return w.planFrom(snapshot, source, known)(service)
}

// planFrom plans from a snapshot and, where the controller is the source, from what it tells.
func (w *World) planFrom(snapshot *desired.Snapshot, source string, known []rehearsal.Known) func(service string) (plan.Service, error) {
	var a rehearsal.Account = rehearsal.Remember(known, w.latest)
	if source == byAccount {
		a = onlyLooked{account.New(client.New(w.account.AWSConfig(), client.Options{ReadOnly: true}),
			account.Options{Account: snapshot.Environment.Spec.Account, Region: snapshot.Environment.Spec.Region})}
	}
	var records []rollout.Record
	for _, k := range known {
		records = append(records, k.Record)
	}
	return func(service string) (plan.Service, error) {
		before := w.Observer.sends()
		out := plan.Of(rehearsal.New(a, snapshot, records).Service(context.Background(), service))
		if w.Observer.sends() > before {
			return out, fmt.Errorf("planning wrote: %v", w.Observer.sent()[before:])
		}
		return out, nil
	}
}

// latest are the finished rollouts as the API tells them, newest first.
func (w *World) latest(service string) []rollout.Entry {
	all := w.ended(service)
	slices.Reverse(all)
	return all
}

// onlyLooked is an account that is only looked at.
type onlyLooked struct{ *account.Account }

// Assumed implements rehearsal.Account.
func (onlyLooked) Assumed(string) []string { return nil }

// told is what the controller's API tells of its records: of those that are chosen as a client reads it, of the others as it is.
func (w *World) told(chosen func(service string) bool) ([]rehearsal.Known, error) {
	if w.life == nil {
		return nil, errors.New("the controller does not run")
	}
	var out []rehearsal.Known
	for _, v := range w.life.app.Board().Snapshot().Services {
		k := rehearsal.Known{Record: v.Record, Seen: v.Seen.Service()}
		if !chosen(v.Record.Service) {
			out = append(out, k)
			continue
		}
		k.Record, k.Seen = rollout.Shared(k.Record, k.Seen)
		text, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		k = rehearsal.Known{}
		if err := json.Unmarshal(text, &k); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// comesTrue waits until what the newest expected plan would do at once has been done, in its order, and nothing else was.
func (t *Telling) comesTrue() error {
	var want []string
	for _, s := range t.planned {
		want = append(want, sentAs[s.Do])
	}
	if len(want) == 0 {
		return errors.New("no plan was expected that does anything")
	}
	return t.Await(defaultLimit, func() error {
		got := t.Observer.sent()[len(t.plannedAt):]
		if len(got) < len(want) {
			return fmt.Errorf("written was %v, planned is %v", got, want)
		}
		if !slices.Equal(got[:len(want)], want) {
			return fmt.Errorf("written was %v, and planned %v", got, want)
		}
		return nil
	})
}

// foreseenMax is how many services are planned after each commit: all of most stories'.
const foreseenMax = 3

// foresee plans, as the controller would be asked, whatever was just committed: a plan can be made at any moment and comes to
// an end. Where there are more services than foreseenMax, they take turns.
func (t *Telling) foresee() error {
	if t.life == nil || t.life.gate.closed() {
		return nil
	}
	snapshot := t.repo.newest()
	if snapshot.Environment == nil {
		return nil
	}
	services := slices.Sorted(maps.Keys(snapshot.Services))
	if many := len(services); many > foreseenMax {
		from := len(t.repo.words) * foreseenMax % many
		services = slices.Concat(services[from:], services[:from])[:foreseenMax]
	}
	known, err := t.told(func(service string) bool { return slices.Contains(services, service) })
	if err != nil {
		return err
	}
	planned := t.planFrom(snapshot, byController, known)
	for _, service := range services {
		s, err := planned(service)
		if err != nil {
			return err
		}
		if s.Effect == plan.EffectUnknown && !strings.Contains(s.Error, "has not looked at") {
			return fmt.Errorf("no plan of %s: %s (%s)", service, s.Summary, s.Error)
		}
	}
	return nil
}

// sent are the operations of the requests that took effect, in order.
func (o *Observer) sent() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.order)
}

// sends are how many took effect.
func (o *Observer) sends() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.order)
}
