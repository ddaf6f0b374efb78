package story

import (
	"sync"

	"github.com/canteen/deploy/controller/permit"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/iam"
	"github.com/canteen/deploy/controller/sim/wire"
)

// used are the entries of the controller's policy that a call of any world needed.
var used struct {
	sync.Mutex
	entries map[iam.Use]bool
}

// newGuard holds everybody who asks over the wire to the policy that the infrastructure gives the controller, under the names
// of this world's services. A call outside of it is a broken property, and goes on, so that the others are seen as well.
func (w *World) newGuard() (*iam.Guard, error) {
	var policies []iam.Policy
	for _, name := range w.opts.Services {
		p, err := permit.For(permit.Names{
			Stack: name + "-dev", Cluster: "main", Service: name, LogGroup: "/ecs/" + name, Secrets: name, Parameters: name,
			Execution: name + "-execution", Task: name + "-task", Migration: name + "-migration", Table: sharedTable, Queue: hintsQueue,
		})
		if err != nil {
			return nil, err
		}
		policies = append(policies, p)
	}
	if len(w.opts.Services) >= permit.ManyFrom {
		p, err := permit.Many()
		if err != nil {
			return nil, err
		}
		policies = append(policies, p)
	}
	g := iam.NewGuard(iam.Place{Account: sim.DefaultAccount, Region: sim.DefaultRegion})
	g.Refused = func(_ *wire.Call, why error) error {
		w.Observer.mu.Lock()
		defer w.Observer.mu.Unlock()
		w.Observer.violation(15, "the infrastructure does not allow it: %v", why)
		return nil
	}
	g.Bind(sim.AccessKey, policies...)
	w.closers = append(w.closers, func() {
		used.Lock()
		defer used.Unlock()
		if used.entries == nil {
			used.entries = map[iam.Use]bool{}
		}
		for _, u := range g.Used() {
			used.entries[u] = true
		}
	})
	return g, nil
}
