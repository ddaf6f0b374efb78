package reconcile

import (
	"maps"
	"sync"

	"github.com/canteen/deploy/controller/rollout"
)

// Fleet knows of every service what the others must know: whether it is rolling, and whether it has settled.
type Fleet struct {
	mu       sync.Mutex
	services map[string]member
}

type member struct {
	rolling bool   // it has taken a place: its migration or its deployment was asked for
	settled string // digest of the file that it has settled on, empty while it has not
}

// NewFleet returns the fleet of the given records.
func NewFleet(records ...rollout.Record) *Fleet {
	f := &Fleet{services: map[string]member{}}
	for _, rec := range records {
		f.services[rec.Service] = of(rec)
	}
	return f
}

func of(rec rollout.Record) member {
	ro := rec.Rollout
	m := member{rolling: ro != nil && ro.Kind == rollout.KindDeploy && (ro.Migration != nil || ro.Deployment != nil)}
	if rec.State == rollout.StateSettled && ro == nil && rec.Intent != nil {
		m.settled = digest(rec.Intent.Service)
	}
	return m
}

// note takes over what a record says.
func (f *Fleet) note(rec rollout.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[rec.Service] = of(rec)
}

// reserve takes a place for a deploy that is about to touch the account, if the limit leaves one; 0 is no limit. Everything but
// that always has a place.
func (f *Fleet) reserve(next rollout.Record, limit int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := of(next)
	if limit > 0 && now.rolling && !f.services[next.Service].rolling && f.rolling(next.Service) >= limit {
		return false
	}
	f.services[next.Service] = now
	return true
}

// others counts the other services that roll and names those of the dependencies that have not settled on what git asks of
// them now.
func (f *Fleet) others(service string, dependsOn []string, newest func(service string) string) (rolling int, waiting []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range dependsOn {
		if settled := f.services[name].settled; settled == "" || settled != newest(name) {
			waiting = append(waiting, name)
		}
	}
	return f.rolling(service), waiting
}

func (f *Fleet) rolling(except string) int {
	n := 0
	for name, m := range f.services {
		if m.rolling && name != except {
			n++
		}
	}
	return n
}

// Clone is a fleet that knows the same now, and goes its own way from here on.
func (f *Fleet) Clone() *Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Fleet{services: maps.Clone(f.services)}
}
