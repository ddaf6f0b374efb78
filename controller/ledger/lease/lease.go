// Package lease decides which of several controllers acts. One of them holds the lease and renews it; the others look at it
// and take it over once it has not changed for its whole term. Every taking has a higher fencing number than the one
// before, and whoever saves anything names the number, so that a holder who does not know yet that he is none any more
// saves nothing.
//
// No clock of another machine is believed. The holder counts its term from when it sent the renewal, on its own clock; the
// others count it from when they first saw that renewal, on theirs. What is sent comes before it is seen, so that the
// others are never the earlier ones.
package lease

import (
	"context"
	"time"
)

// Lease is what the store says.
type Lease struct {
	Owner    string        // who took it last; empty where nobody ever did
	Fence    uint64        // the fencing number, one higher with each taking; from 1
	Beat     uint64        // changes with each renewal
	Term     time.Duration // for so long after a renewal the owner may act
	Released bool          // the owner has given it back: nothing of it is under way any more
	Since    time.Time     // when it was taken, by the owner's clock; for people
}

// same reports whether nothing has happened between two looks.
func (l Lease) same(other Lease) bool {
	return l.Owner == other.Owner && l.Fence == other.Fence && l.Beat == other.Beat && l.Released == other.Released
}

// Store keeps one lease, by compare-and-swap. Every method is one request to it, or a few that have one effect, and its
// effect may have come true although it answers an error, unless that is a fault.Conflict.
type Store interface {
	// Look reads the newest state; one without Owner where nobody has it.
	Look(ctx context.Context) (Lease, error)
	// Take makes owner the owner, with the next fencing number, provided that nothing has changed since seen. Otherwise it
	// returns a fault.Conflict.
	Take(ctx context.Context, seen Lease, owner string, term time.Duration) (Lease, error)
	// Renew changes Beat. It returns a fault.Conflict where another one is the owner by now.
	Renew(ctx context.Context, held Lease) error
	// Release marks the lease as released. It returns a fault.Conflict where another one is the owner by now.
	Release(ctx context.Context, held Lease) error
}

// The rhythm, made so that another controller acts within 20 s of the death of the one that held the lease, by whatever
// moment it died: Poll to see its last renewal, Term until that is over, Call until its last request is over.
const (
	Term   = 12 * time.Second
	Call   = 5 * time.Second                    // the deadline of one writing request to the account
	Margin = 2 * time.Second                    // before the term's end, by which every writing request is over
	Poll   = time.Second + 3*time.Millisecond   // between two looks of those that wait
	again  = 1*time.Second + 1*time.Millisecond // after a renewal that failed
)

// renewEvery is the time between two renewals.
const renewEvery = Term / 3
