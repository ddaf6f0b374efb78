package reconcile

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"sync"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// Asked is the newest word of git, shared between who follows the repository and the passes.
type Asked struct {
	mu          sync.RWMutex
	environment *desired.Environment
	intents     map[string]*rollout.Intent
	invalid     map[string]string
	known       bool // a snapshot was seen
}

// NewAsked returns an Asked that knows nothing yet.
func NewAsked() *Asked {
	return &Asked{intents: map[string]*rollout.Intent{}, invalid: map[string]string{}}
}

// Take takes a snapshot over and returns the services whose word changed, in order of name. A snapshot without a valid
// environment keeps the environment before: nothing is begun under a policy that nobody can read.
func (a *Asked) Take(s *desired.Snapshot) (changed []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	policyChanged := s.Environment != nil && !sameJSON(a.environment, s.Environment)
	if s.Environment != nil {
		a.environment = s.Environment
	}
	intents := make(map[string]*rollout.Intent, len(s.Services))
	for name, service := range s.Services {
		if old := a.intents[name]; old != nil && sameJSON(old.Service, *service) {
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
	a.intents, a.invalid, a.known = intents, invalid, true
	slices.Sort(changed) // the same snapshot wakes in the same order
	return slices.Compact(changed)
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
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.environment == nil {
		return rollout.Want{}, false
	}
	if !a.known {
		return rollout.Want{Intent: rec.Intent, Environment: a.environment.Metadata.Name, Policy: a.environment.Spec}, rec.Intent != nil
	}
	want = rollout.Want{
		Intent: a.intents[service], Invalid: a.invalid[service],
		Environment: a.environment.Metadata.Name, Policy: a.environment.Spec,
	}
	want.Removed = want.Intent == nil && want.Invalid == ""
	// The commit that first said it is the one that people look for, also after a restart.
	if want.Intent != nil && rec.Intent != nil && sameJSON(want.Intent.Service, rec.Intent.Service) {
		want.Intent = rec.Intent
	}
	return want, true
}

// digest is what git asks of the service now in short, for comparing.
func (a *Asked) digest(service string) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if intent := a.intents[service]; intent != nil {
		return digest(intent.Service)
	}
	return ""
}

func digest(s desired.Service) string {
	b, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// Environment is the newest valid environment, nil until one was seen.
func (a *Asked) Environment() *desired.Environment {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.environment
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
