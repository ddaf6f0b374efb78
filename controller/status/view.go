// Package status is the live snapshot: what is told of every service to the page, the API, the metrics and the notifiers. A
// Board is the only teller. Reconciliation publishes views to it after they were saved; everybody else reads snapshots that
// never change, or subscribes to events.
package status

import (
	"reflect"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
)

// View is everything that is told of one service. What it points at must not change after it was published.
type View struct {
	Record rollout.Record
	Status condition.Status
	// Observed is what is told of the look, nil where that is what Seen shows: of a service that is settled it does, and is not kept twice.
	Observed *Observed
	// Seen is what the rules would decide on again: the last look, by Keep.
	Seen Kept
	// Built are the commits that the images of the newest rollout, and of the version before it, were built of, by digest, as far as the
	// images tell.
	Built map[string]string
}

// Look is what is told of the look.
func (v *View) Look() Observed {
	if v.Observed != nil {
		return *v.Observed
	}
	return v.Seen.observed()
}

// keepLook keeps what is told of the look where what was kept of it does not show that. Where the service lives is kept when a look could
// not tell: it never moves, and a label that comes and goes makes a new series each time.
func (v *View) keepLook(old *View) {
	look := v.Look()
	if look.Account == "" && old != nil {
		before := old.Look()
		look.Cluster, look.Region, look.Account = before.Cluster, before.Region, before.Account
	}
	if v.Observed = nil; !reflect.DeepEqual(look, v.Look()) {
		v.Observed = &look
	}
}

// at is when the look was.
func (v *View) at() time.Time {
	if v.Observed != nil {
		return v.Observed.At
	}
	return v.Seen.at
}

// identity is where the service lives, by the look.
func (v *View) identity() (region, account, cluster string) {
	if v.Observed != nil {
		return v.Observed.Region, v.Observed.Account, v.Observed.Cluster
	}
	return identity(v.Seen.arn)
}

// tasks are how many the look showed.
func (v *View) tasks() (wanted, running, pending int) {
	if v.Observed != nil {
		return v.Observed.Desired, v.Observed.Running, v.Observed.Pending
	}
	return int(v.Seen.desired), int(v.Seen.running), int(v.Seen.pending)
}

// Build says which controller this is; both words may be empty.
type Build struct {
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"` // commit that the controller was built of
}

// RepoView is what one fetch of the repository found.
type RepoView struct {
	Source    string                     `json:"source"` // address without credentials
	Head      desired.Commit             `json:"head,omitzero"`
	FetchedAt time.Time                  `json:"fetchedAt,omitzero"` // last fetch that succeeded
	Error     string                     `json:"error,omitempty"`    // why the last fetch failed
	Invalid   map[string][]desired.Error `json:"invalid,omitempty"`  // by file
	Took      time.Duration              `json:"-"`                  // of the fetch; measured, and not kept
}

// Snapshot is what was true of all services at one moment. It never changes; nothing reached through it may be changed.
type Snapshot struct {
	Environment string
	Build       Build
	At          time.Time
	Repo        RepoView
	Lease       *Lease // nil where there is only one controller
	// LedgerWritten is whether the last write to the ledger reached its disk; nil where nobody tells.
	LedgerWritten *bool
	Events        *events.State // nil where no queue of events is read
	Services      []*View       // in order of name
}

// Service returns the view of the named service, nil when there is none.
func (s Snapshot) Service(name string) *View {
	if i, ok := find(s.Services, name); ok {
		return s.Services[i]
	}
	return nil
}

// QueueStats are the queue's numbers now, nil where nobody is named who knows them.
func (b *Board) QueueStats() *queue.Stats {
	b.mu.Lock()
	ask := b.queue
	b.mu.Unlock()
	if ask == nil {
		return nil
	}
	stats := ask() // outside the lock: the queue has its own
	return &stats
}
