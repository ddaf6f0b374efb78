// Package condition makes of a record what people and alerts read: conditions, one phase, the why sentence and when the
// controller acts next. It is pure: the same record gives the same words.
package condition

import (
	"strings"
	"time"
)

// Type names a condition.
type Type string

// The conditions. Reconciling, Stalled, Blocked, Drifted and Suspended are abnormal when true; the others when not.
const (
	Ready       Type = "Ready"
	Reconciling Type = "Reconciling"
	Stalled     Type = "Stalled"
	Blocked     Type = "Blocked"
	Valid       Type = "Valid"
	Migrated    Type = "Migrated"
	Synced      Type = "Synced"
	Healthy     Type = "Healthy"
	Verified    Type = "Verified"
	Drifted     Type = "Drifted"
	Suspended   Type = "Suspended"
)

// Types are all conditions in the order in which they are shown.
var types = []Type{Ready, Reconciling, Stalled, Blocked, Valid, Migrated, Synced, Healthy, Verified, Drifted, Suspended}

// Truth is the status of a condition.
type Truth string

// The truths.
const (
	True    Truth = "True"
	False   Truth = "False"
	Unknown Truth = "Unknown"
)

// Condition is one condition of one service.
type Condition struct {
	Type    Type   `json:"type"`
	Status  Truth  `json:"status"`
	Reason  string `json:"reason"` // closed, CamelCase
	Message string `json:"message,omitempty"`
}

// Phase is the one word for people and for the state-set metric.
type Phase string

// The phases, worst first as the page sorts them.
const (
	PhaseUnknown    Phase = "Unknown"
	PhaseInvalid    Phase = "Invalid"
	PhaseStalled    Phase = "Stalled"
	PhaseReverting  Phase = "Reverting"
	PhaseReverted   Phase = "Reverted"
	PhaseBlocked    Phase = "Blocked"
	PhaseDegraded   Phase = "Degraded"
	PhaseDrifted    Phase = "Drifted"
	PhaseSuspended  Phase = "Suspended"
	PhaseMigrating  Phase = "Migrating"
	PhaseRollingOut Phase = "RollingOut"
	PhaseVerifying  Phase = "Verifying"
	PhasePending    Phase = "Pending"
	PhaseHealthy    Phase = "Healthy"
	PhaseReleased   Phase = "Released"
)

// Phases are all phases, worst first.
func Phases() []Phase {
	return []Phase{PhaseUnknown, PhaseInvalid, PhaseStalled, PhaseReverting, PhaseReverted, PhaseBlocked, PhaseDegraded,
		PhaseDrifted, PhaseSuspended, PhaseMigrating, PhaseRollingOut, PhaseVerifying, PhasePending, PhaseHealthy, PhaseReleased}
}

// Glyph is a mark for the phase that does not rely on colour.
func (p Phase) Glyph() string {
	switch p {
	case PhaseHealthy:
		return "✔"
	case PhaseStalled, PhaseInvalid:
		return "✖"
	case PhaseReverting, PhaseReverted:
		return "↩"
	case PhaseDegraded, PhaseDrifted, PhaseBlocked:
		return "▲"
	case PhaseSuspended, PhaseReleased:
		return "‖"
	case PhaseMigrating, PhaseRollingOut, PhaseVerifying:
		return "▶"
	default:
		return "…"
	}
}

// Status is what is told of one service.
type Status struct {
	Service      string      `json:"service"`
	Phase        Phase       `json:"phase"`
	Said         string      `json:"said,omitempty"` // which sentence Why is: closed
	Why          string      `json:"why"`
	Next         string      `json:"next,omitempty"`        // what a person can do; begins with "Nothing" where nobody need do anything
	Since        time.Time   `json:"since,omitzero"`        // of the phase's state
	NextActionAt time.Time   `json:"nextActionAt,omitzero"` // when the controller looks or acts next
	Conditions   []Condition `json:"conditions"`

	// Wanted is what git asks, Running what the last verdict put there.
	Wanted  Version `json:"wanted"`
	Running Version `json:"running"`
}

// Version is an ask as people name it.
type Version struct {
	Commit   string   `json:"commit,omitempty"`
	Images   []string `json:"images,omitempty"` // container:tag
	Ask      string   `json:"ask,omitempty"`
	Revision string   `json:"revision,omitempty"`
}

// Words are Why, and Next where a person is needed.
func (s Status) Words() string {
	if s.Next == "" || strings.HasPrefix(s.Next, "Nothing") {
		return s.Why
	}
	return s.Why + " " + s.Next
}

// Condition returns the condition of the type.
func (s Status) Condition(t Type) Condition {
	for _, c := range s.Conditions {
		if c.Type == t {
			return c
		}
	}
	return Condition{Type: t, Status: Unknown}
}
