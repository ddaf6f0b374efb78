package reconcile

import (
	"sync"

	"github.com/canteen/deploy/controller/rollout"
)

// Fleet knows of every service what the others must know: whether it is rolling, and whether it has settled.
type Fleet struct {
	mu       sync.Mutex
	services map[string]member
}

type member struct {
	rolling bool
	settled bool
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
	return member{
		rolling: rec.Rollout != nil && rec.Rollout.Kind == rollout.KindDeploy,
		settled: rec.State == rollout.StateSettled,
	}
}

// note takes over what a record says.
func (f *Fleet) note(rec rollout.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[rec.Service] = of(rec)
}

// reserve takes a place for a deploy that is about to begin, if the limit leaves one; 0 is no limit. Everything but the
// beginning of a deploy always has a place.
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

// others counts the other services that roll and names those of the dependencies that have not settled.
func (f *Fleet) others(service string, dependsOn []string) (rolling int, waiting []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range dependsOn {
		if !f.services[name].settled {
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
