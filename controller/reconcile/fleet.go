package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// Fleet knows of every service what the others must know: whether it rolls or waits for a place, whether it has settled, and
// whether the account lacks it. It is made of records alone, so that a restart loses nothing.
type Fleet struct {
	mu       sync.Mutex
	services map[string]member
	rolling  int  // members that roll
	good     int  // members that have a good version
	missing  int  // those of them that the account lacks
	freed    bool // somebody gave up a place or a turn since turns was asked
}

type member struct {
	rolling bool            // it has taken a place: its migration or its deployment was asked for
	waiting bool            // it would take a place if there was one
	queued  time.Time       // since when, and with that in which order
	settled *rollout.Intent // what it has settled on, nil while it has not
	good    bool            // a version was good in it
	missing bool            // and the account does not have it now
}

// NewFleet returns the fleet of the given records.
func NewFleet(records ...rollout.Record) *Fleet {
	f := &Fleet{services: map[string]member{}}
	for _, rec := range records {
		f.set(rec.Service, of(rec))
	}
	return f
}

func of(rec rollout.Record) member {
	ro := rec.Rollout
	m := member{rolling: rec.HoldsPlace(), queued: rec.Queued, good: rec.Good != nil && rec.State != rollout.StateReleased}
	m.missing = m.good && rec.Gone()
	registers := ro != nil && ro.Kind == rollout.KindDeploy && !ro.TakesOver && rec.State == rollout.StateRegistering
	// Who has trouble, or waits for something else as well, keeps nobody behind it out.
	m.waiting = !m.rolling && rec.Trouble == nil && (rec.State == rollout.StateWaitingConcurrent || registers)
	// Where a changed template is only reported, what git asks runs and is good.
	if (rec.State == rollout.StateSettled || rec.State == rollout.StateWaitingTemplate) && ro == nil && rec.Intent != nil {
		m.settled = rec.Intent
	}
	return m
}

// set is called with the lock held.
func (f *Fleet) set(service string, now member) {
	was := f.services[service]
	f.services[service] = now
	f.rolling += count(now.rolling) - count(was.rolling)
	f.good += count(now.good) - count(was.good)
	f.missing += count(now.missing) - count(was.missing)
	if was.rolling && !now.rolling || was.waiting && !now.waiting {
		f.freed = true
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// note takes over what a record says.
func (f *Fleet) note(rec rollout.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set(rec.Service, of(rec))
}

// lapse takes the turn of a service whose pass failed, until a pass of it comes to something.
func (f *Fleet) lapse(service string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, ok := f.services[service]; ok && m.waiting {
		m.waiting = false
		f.set(service, m)
	}
}

// reserve takes a place for a deploy that is about to touch the account, if the limit leaves one; 0 is no limit. Everything but
// that always has a place. A place is given up by note alone, once that is saved.
func (f *Fleet) reserve(next rollout.Record, limit int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, was := of(next), f.services[next.Service]
	if limit > 0 && now.rolling && !was.rolling && f.rolling >= limit {
		return false
	}
	if now.rolling || !was.rolling {
		f.set(next.Service, now)
	}
	return true
}

// others counts the other services that roll, and up to limit of those that have waited for a place for longer, and names those
// of the dependencies that have not settled on what git asks of them now.
func (f *Fleet) others(service string, queued time.Time, limit int, dependsOn []string, asks func(service string) *rollout.Intent) (rolling, ahead int, waiting []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range dependsOn {
		settled, now := f.services[name].settled, asks(name)
		if settled == nil || now == nil || settled != now && !same(settled.Service, now.Service) {
			waiting = append(waiting, name)
		}
	}
	own := f.services[service]
	rolling = f.rolling - count(own.rolling)
	if limit == 0 || own.rolling {
		return rolling, 0, waiting
	}
	for name, m := range f.services {
		if rolling+ahead >= limit {
			break
		}
		if m.waiting && name != service && (queued.IsZero() || before(name, m.queued, service, queued)) {
			ahead++
		}
	}
	return rolling, ahead, waiting
}

// before is the order in which services get a place: who has waited longest, then by name.
func before(a string, since time.Time, b string, then time.Time) bool {
	return cmp.Or(since.Compare(then), cmp.Compare(a, b)) < 0
}

// turns are the services whose turn it is because a place became free since turns was asked before, longest waiting first. Without a
// limit nobody waits for a place, and whoever still says so is woken by the change of the environment that took the limit away.
func (f *Fleet) turns(limit int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.freed || limit == 0 {
		return nil
	}
	f.freed = false
	var waiting []string
	for name, m := range f.services {
		if m.waiting {
			waiting = append(waiting, name)
		}
	}
	slices.SortFunc(waiting, func(a, b string) int {
		return cmp.Or(f.services[a].queued.Compare(f.services[b].queued), cmp.Compare(a, b))
	})
	return waiting[:max(0, min(len(waiting), limit-f.rolling))]
}

// Pause is why nothing new is begun under the policy, nil where that is not so: the account suddenly lacks too many services.
func (f *Fleet) Pause(policy desired.MassChangePolicy) *rollout.Pause {
	f.mu.Lock()
	defer f.mu.Unlock()
	return rollout.ManyMissing(f.missing, f.good, policy)
}

// Clone is a fleet that knows the same now, and goes its own way from here on.
func (f *Fleet) Clone() *Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Fleet{services: maps.Clone(f.services), rolling: f.rolling, good: f.good, missing: f.missing, freed: f.freed}
}
