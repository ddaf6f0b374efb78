// Package notify tells people and programs what became of rollouts: in Slack, and by signed webhooks.
//
// What is to be told is not kept anywhere: it follows from the ledger's records and history, which are saved before anything is
// told, and from a mark for each receiver and service, which says how far that receiver was told. The mark is kept in the ledger
// after a message was taken by its receiver. So nothing is lost when a controller is killed, and at most the one message is sent
// again whose mark was not kept, under the same key.
package notify

import (
	"time"
)

// Schema is the version of Message as webhooks carry it.
const Schema = "deploy.notification/v1"

// Event is the closed word for what a message tells.
type Event string

// The events. Those of a rollout come once for each rollout, in the order of the rollouts; those of a condition when it begins to be
// so, and Resolved when it is over.
const (
	Begun        Event = "begun"         // a deploy toward what git asks has begun
	Good         Event = "good"          // it was verified good
	Rejected     Event = "rejected"      // it failed by its own fault
	Superseded   Event = "superseded"    // something newer took its place
	Reverting    Event = "reverting"     // the last good version is being put back
	Reverted     Event = "reverted"      // the last good version serves again
	RevertFailed Event = "revert_failed" // putting it back did not come true
	Restoring    Event = "restoring"     // a deployment by somebody else is being put right
	Restored     Event = "restored"      // it was put right
	Stalled      Event = "stalled"       // nothing more is tried until a person does something
	Blocked      Event = "blocked"       // something outside git is missing; tried again by itself
	Invalid      Event = "invalid"       // the service's file, or environment.yaml, is invalid
	Resolved     Event = "resolved"      // what Blocked, Stalled or Invalid told is over, without a rollout that tells it
	Outage       Event = "outage"        // something that many services need is away: told once for all of them
	OutageOver   Event = "outage_over"   // it is back
	Test         Event = "test"          // somebody tries whether messages arrive
)

// Events are all of them, in the order above.
func Events() []Event {
	return []Event{Begun, Good, Rejected, Superseded, Reverting, Reverted, RevertFailed, Restoring, Restored, Stalled, Blocked, Invalid, Resolved, Outage, OutageOver, Test}
}

// Values are the allowed texts.
func (Event) Values() []string {
	var out []string
	for _, e := range Events() {
		out = append(out, string(e))
	}
	return out
}

// Severity says how much a message matters.
type Severity string

// The severities, least first.
const (
	Info     Severity = "info"     // as it should be
	Warning  Severity = "warning"  // the controller has handled it, or goes on trying; somebody should look
	Critical Severity = "critical" // nothing goes on without a person
)

// Values are the allowed texts.
func (Severity) Values() []string { return []string{string(Info), string(Warning), string(Critical)} }

func (s Severity) rank() int {
	switch s {
	case Critical:
		return 2
	case Warning:
		return 1
	}
	return 0
}

// severities is the severity of each event.
var severities = map[Event]Severity{
	Begun: Info, Good: Info, Superseded: Info, Reverting: Info, Restored: Info, Resolved: Info, OutageOver: Info, Test: Info,
	Rejected: Warning, Reverted: Warning, Restoring: Warning, Blocked: Warning, Invalid: Warning,
	RevertFailed: Critical, Stalled: Critical, Outage: Critical,
}

// Message is one message, as generic webhooks carry it.
type Message struct {
	Schema      string            `json:"schema"`
	Key         string            `json:"key"` // the same for each attempt to tell the same
	Event       Event             `json:"event"`
	Severity    Severity          `json:"severity"`
	At          time.Time         `json:"at"` // when it became so
	Environment string            `json:"environment"`
	Service     string            `json:"service,omitempty"` // empty where it is about the whole environment
	Labels      map[string]string `json:"labels,omitempty"`  // the service's, as git has them
	Thread      string            `json:"thread"`            // the same for all messages of one rollout and of the revert after it
	Summary     string            `json:"summary"`           // one line
	Why         string            `json:"why,omitempty"`     // a sentence or two
	Next        string            `json:"next,omitempty"`    // what a person can do
	Reason      string            `json:"reason,omitempty"`  // closed, CamelCase
	Evidence    string            `json:"evidence,omitempty"`
	Rollout     *RolloutFacts     `json:"rollout,omitempty"`
	Services    []string          `json:"services,omitempty"` // of an outage: those that it is told for, at most ServicesMax
	Count       int               `json:"count,omitempty"`    // how many those are
}

// ServicesMax is how many services an outage names.
const ServicesMax = 20

// RolloutFacts are what a webhook is told of the rollout.
type RolloutFacts struct {
	Number    int        `json:"number"`
	Kind      string     `json:"kind"`
	Trigger   string     `json:"trigger"`
	Result    string     `json:"result,omitempty"` // empty while it is in flight
	Images    []string   `json:"images,omitempty"` // container:tag
	Commit    CommitFact `json:"commit,omitzero"`
	StartedAt time.Time  `json:"startedAt"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	Check     string     `json:"check,omitempty"` // the check that failed
}

// CommitFact names a commit. Author and subject are whatever somebody wrote.
type CommitFact struct {
	SHA     string `json:"sha"`
	Author  string `json:"author,omitempty"`
	Subject string `json:"subject,omitempty"`
}
