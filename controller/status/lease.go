package status

import "time"

// Role is a controller's part where several share a ledger.
type Role string

// The roles.
const (
	RoleLeader  Role = "leader"  // it acts
	RoleStandby Role = "standby" // it tells what the leader has saved, and waits
)

// Lease tells which of several controllers acts.
type Lease struct {
	Role   Role      `json:"role"`
	Leader string    `json:"leader,omitempty"` // who acts; empty where nobody does, or nobody knows
	Fence  uint64    `json:"fence"`            // the fencing number of the newest taking
	Since  time.Time `json:"since,omitzero"`   // when it was taken
	ReadAt time.Time `json:"readAt,omitzero"`  // of a standby: when what it tells of services was read from the ledger
	Error  string    `json:"error,omitempty"`  // why the lease cannot be read or renewed now
}

// Standby reports whether another controller acts, or none.
func (l *Lease) Standby() bool { return l != nil && l.Role == RoleStandby }

// Lead replaces what is told of the lease. Without a call of it there is only one controller.
func (b *Board) Lead(l Lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.lease
	if old != nil && l.Role == RoleStandby {
		l.ReadAt = old.ReadAt
	}
	b.lease = &l
	if old != nil && old.Role == l.Role && old.Leader == l.Leader && old.Error == l.Error {
		return
	}
	b.activity.tell(Event{At: time.Now(), Kind: EventLease, Message: leaseMessage(l)})
}

// ReadFromLedger tells as of when a standby's services are.
func (b *Board) ReadFromLedger(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.lease.Standby() {
		return
	}
	l := *b.lease
	l.ReadAt = at
	b.lease = &l
}

func leaseMessage(l Lease) string {
	switch {
	case l.Role == RoleLeader:
		return "this controller acts"
	case l.Error != "":
		return "the lease is not known: " + l.Error
	case l.Leader == "":
		return "no controller acts"
	default:
		return l.Leader + " acts"
	}
}
