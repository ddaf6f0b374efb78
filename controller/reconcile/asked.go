package reconcile

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// Asked is the newest word of git, shared between who follows the repository and the passes; and of a mass change that nobody has
// confirmed, the word before.
type Asked struct {
	Clock func() time.Time // the time by which emergencies end; nil: time.Now. Set it before use

	mu          sync.RWMutex
	environment *desired.Environment
	newest      *desired.Snapshot
	intents     map[string]*rollout.Intent // of newest
	invalid     map[string]string          // of newest
	known       bool                       // a snapshot was seen
	compared    int                        // contents that the newest Take compared

	taken    map[string]word // what was taken over, and is not released
	pause    *rollout.Pause  // why newest is not taken over, nil where it is
	withheld map[string]bool // services whose word in newest waits
	waiting  []string        // ids of the commits that have been newest during the pause
}

// word is what was taken over of one service.
type word struct {
	intent  *rollout.Intent
	service *desired.Service // as the snapshot has it: the same pointer, the same word
}

// NewAsked returns an Asked that knows nothing yet.
func NewAsked() *Asked {
	return &Asked{intents: map[string]*rollout.Intent{}, invalid: map[string]string{}, taken: map[string]word{}}
}

// Begin tells what was taken over before, as the records of the ledger have it, and weighs the newest snapshot against that once
// more: a pause survives a restart. It is called before passes run.
func (a *Asked) Begin(records []rollout.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = make(map[string]word, len(records))
	for _, rec := range records {
		if rec.Intent != nil && rec.State != rollout.StateReleased {
			a.taken[rec.Service] = word{rec.Intent, &rec.Intent.Service}
		}
	}
	if a.known {
		a.pause, a.waiting = nil, nil
		a.weigh()
	}
}

// Take takes a snapshot over and returns the services whose word changed, in order of name. A snapshot without a valid
// environment keeps the environment before: nothing is begun under a policy that nobody can read. One that is a mass change and
// not confirmed is known, and not taken over; see rollout.MassChange.
func (a *Asked) Take(s *desired.Snapshot) (changed []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.compared = 0
	policyChanged := s.Environment != nil && (a.environment == nil || a.environment != s.Environment && !same(*a.environment, *s.Environment))
	if s.Environment != nil {
		a.environment = s.Environment
	}
	intents := make(map[string]*rollout.Intent, len(s.Services))
	for name, service := range s.Services {
		if old := a.intents[name]; old != nil && a.unchanged(name, old, service) {
			intents[name] = old
			if policyChanged || a.invalid[name] != "" {
				changed = append(changed, name)
			}
			continue
		}
		intents[name] = &rollout.Intent{Commit: s.Commit, Service: *service}
		changed = append(changed, name)
	}
	invalid := make(map[string]string, len(s.Invalid))
	for name, errs := range s.Invalid {
		invalid[name] = errs[0].Error()
		if a.invalid[name] != invalid[name] {
			changed = append(changed, name)
		}
	}
	for name := range a.intents {
		if intents[name] == nil && invalid[name] == "" {
			changed = append(changed, name)
		}
	}
	a.newest, a.intents, a.invalid, a.known = s, intents, invalid, true
	changed = append(changed, a.weigh()...)
	slices.Sort(changed) // the same snapshot wakes in the same order
	return slices.Compact(changed)
}

// unchanged reports whether the service is what the newest snapshot had. A snapshot shares what did not change with the one before
// it, so that only what was parsed again is compared.
func (a *Asked) unchanged(name string, old *rollout.Intent, service *desired.Service) bool {
	if a.newest != nil && a.newest.Services[name] == service {
		return true
	}
	a.compared++
	return same(old.Service, *service)
}

// weigh takes the newest snapshot over, or what of it is no mass change, and returns whom that concerns beyond those whose word
// changed.
func (a *Asked) weigh() (concerned []string) {
	was, before := a.pause, make(map[string]*desired.Service, len(a.taken))
	for name, w := range a.taken {
		before[name] = w.service
	}
	var policy desired.MassChangePolicy
	if a.environment != nil {
		policy = a.environment.Spec.MassChange
	}
	now := time.Now
	if a.Clock != nil {
		now = a.Clock
	}
	mass := rollout.MassChange(now(), before, a.newest, policy, append(slices.Clone(a.waiting), a.newest.Parents...))
	concerned = slices.Collect(maps.Keys(a.withheld))
	concerned = slices.AppendSeq(concerned, maps.Keys(mass.Withheld))
	if was != nil && mass.Pause == nil {
		concerned = slices.AppendSeq(concerned, maps.Keys(a.intents)) // some of them wait to begin something else
	}
	if a.pause = mass.Pause; a.pause == nil {
		a.waiting = nil
	} else {
		if was != nil {
			a.pause.Commit = was.Commit
		}
		a.waiting = append(a.waiting[max(0, len(a.waiting)-waitingMax):], a.newest.Commit.SHA)
	}
	taken := make(map[string]word, len(a.intents))
	for name, intent := range a.intents {
		if !mass.Withheld[name] {
			taken[name] = word{intent, a.newest.Services[name]}
		}
	}
	for name, w := range a.taken {
		if mass.Withheld[name] || a.invalid[name] != "" {
			taken[name] = w
		}
	}
	a.taken, a.withheld = taken, mass.Withheld
	return concerned
}

// waitingMax bounds how many commits of one pause a confirmation can name.
const waitingMax = 100

// Pause is why the newest snapshot is not taken over, nil where it is.
func (a *Asked) Pause() *rollout.Pause {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.pause
}

// Remember takes over the environment that was valid before the controller started. Until git is read, passes go on with
// what the records say that git asked: a revert must not wait for a git server.
func (a *Asked) Remember(env *desired.Environment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.environment == nil {
		a.environment = env
	}
}

// Known reports whether passes can run: an environment is known that is or was valid.
func (a *Asked) Known() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.environment != nil
}

// Want is what git says of the service now; ok is false until Known.
func (a *Asked) Want(service string, rec rollout.Record) (want rollout.Want, ok bool) {
	want, ok = a.want(service, rec)
	// The commit that first said it is the one that people look for, also after a restart.
	if said := want.Intent; said != nil && rec.Intent != nil && said != rec.Intent && same(said.Service, rec.Intent.Service) {
		want.Intent = rec.Intent
		a.adopt(service, said, rec.Intent)
	}
	return want, ok
}

// adopt keeps what a record says that git said in place of the same word of git's, so that it is there once.
func (a *Asked) adopt(service string, said, kept *rollout.Intent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.intents[service] == said {
		a.intents[service] = kept
	}
	if w := a.taken[service]; w.intent == said {
		w.intent = kept
		a.taken[service] = w
	}
}

func (a *Asked) want(service string, rec rollout.Record) (want rollout.Want, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.environment == nil {
		return rollout.Want{}, false
	}
	if !a.known {
		return rollout.Want{Intent: rec.Intent, Environment: a.environment.Metadata.Name, Policy: a.environment.Spec}, rec.Intent != nil
	}
	want = rollout.Want{
		Intent: a.intents[service], Invalid: a.invalid[service], Pause: a.pause, Withheld: a.withheld[service],
		Environment: a.environment.Metadata.Name, Policy: a.environment.Spec,
	}
	want.Removed = want.Intent == nil && want.Invalid == ""
	if want.Withheld {
		want.Intent = a.taken[service].intent
		want.Removed = want.Intent == nil && rec.Intent != nil // it was released before, and its file is back
	}
	return want, true
}

// Says is what git's newest valid file says of the service, nil where there is none. It must not be changed.
func (a *Asked) Says(service string) *desired.Service {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if intent := a.intents[service]; intent != nil {
		return &intent.Service
	}
	return nil
}

// Where answers the services of whose newest valid file the condition holds, in order of name.
func (a *Asked) Where(holds func(desired.ServiceSpec) bool) []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a.intents)) {
		if holds(a.intents[name].Service.Spec) {
			out = append(out, name)
		}
	}
	return out
}

// asks is what git asks of the service now, or asked before a pause, or before its file became invalid; nil for nothing. It must not be
// changed.
func (a *Asked) asks(service string) *rollout.Intent {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.withheld[service] || a.invalid[service] != "" {
		return a.taken[service].intent
	}
	return a.intents[service]
}

// Environment is the newest valid environment, nil until one was seen.
func (a *Asked) Environment() *desired.Environment {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.environment
}
