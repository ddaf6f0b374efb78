package app

import (
	"slices"
	"sync"

	"github.com/canteen/deploy/controller/fault"
)

// The parts that must have come true once before the controller is ready.
const (
	partGit         = "git"
	partEnvironment = "environment"
	partAccount     = "account"
	partLease       = "lease" // of a shared ledger only
	partLedger      = "ledger"
)

// readiness is what the controller still waits for. A part that came true once stays so: later trouble is told by
// status and metrics, and must not take the page away from whoever looks for its cause. The exception is a ledger that cannot be
// written, without which the controller does nothing at all.
type readiness struct {
	mu          sync.Mutex
	missing     map[string]string
	environment chan struct{} // closed once there is one
	once        sync.Once
}

func newReadiness(shared bool) *readiness {
	r := &readiness{environment: make(chan struct{}), missing: map[string]string{
		partGit:         "git has not been read yet",
		partEnvironment: "the environment is not known yet",
		partAccount:     "the account has not been reached yet",
	}}
	if shared {
		r.missing[partLease] = "the lease has not been read yet"
	}
	return r
}

func (r *readiness) done(part string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.missing, part)
}

func (r *readiness) why(part, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.missing[part]; ok {
		r.missing[part] = reason
	}
}

// fails says that a part is not true any more, and reports whether it was until now.
func (r *readiness) fails(part, reason string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, before := r.missing[part]
	r.missing[part] = reason
	return !before
}

func (r *readiness) known() {
	r.done(partEnvironment)
	r.once.Do(func() { close(r.environment) })
}

func (r *readiness) reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, reason := range r.missing {
		out = append(out, reason)
	}
	slices.Sort(out)
	return out
}

// final reports whether an error will come again whatever the time.
func final(err error) bool { return fault.Is(err, fault.Blocked) || fault.Is(err, fault.Terminal) }
