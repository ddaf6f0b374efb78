package events

import (
	"time"

	"go.uber.org/zap"
)

// Outcome is what came of a message. The set is closed: it is a label of metrics.
type Outcome string

// The outcomes.
const (
	OutcomeWoke       Outcome = "woke"       // a service was woken
	OutcomeKept       Outcome = "kept"       // it tells the end of a migration's task: a service was woken, and the message is kept
	OutcomeLater      Outcome = "later"      // no record knows this task yet: the message comes again in a minute
	OutcomeIgnored    Outcome = "ignored"    // it is about nothing of ours, or changes nothing
	OutcomeUnreadable Outcome = "unreadable" // it was deleted
)

// Outcomes are all outcomes.
func Outcomes() []Outcome {
	return []Outcome{OutcomeWoke, OutcomeKept, OutcomeLater, OutcomeIgnored, OutcomeUnreadable}
}

// Count is how many messages of one kind came to one outcome.
type Count struct {
	Kind    Kind    `json:"kind"`
	Outcome Outcome `json:"outcome"`
	Number  int     `json:"number"`
}

// State is what is told of the queue.
type State struct {
	Listens bool          `json:"listens"`          // this is the controller that reads it
	Error   string        `json:"error,omitempty"`  // why it cannot be read now
	ReadAt  time.Time     `json:"readAt,omitzero"`  // newest answer of the queue
	LastAt  time.Time     `json:"lastAt,omitzero"`  // when the newest message was read, by the account's clock
	Behind  time.Duration `json:"-"`                // how long the oldest message of the newest answer had waited
	Missed  int           `json:"missed,omitempty"` // changes that were found by looking and that no event told
	Slow    bool          `json:"slow"`             // settled services are looked at less often
	Counts  []Count       `json:"-"`                // every kind with every outcome
}

type tally struct {
	counts map[Kind]map[Outcome]int
	lastAt time.Time
	behind time.Duration
	missed int
	logged map[Kind]bool // kinds that nobody should send, one line each
}

func newTally() tally {
	t := tally{counts: map[Kind]map[Outcome]int{}, logged: map[Kind]bool{}}
	for _, k := range Kinds() {
		t.counts[k] = map[Outcome]int{}
	}
	return t
}

// State answers what is told of the queue now.
func (l *Listener) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{
		Listens: !l.began.IsZero(), Error: l.err, ReadAt: l.readAt, LastAt: l.tally.lastAt, Behind: l.tally.behind, Missed: l.tally.missed,
		Slow: l.reliable(time.Now()),
	}
	for _, k := range Kinds() {
		for _, o := range Outcomes() {
			s.Counts = append(s.Counts, Count{k, o, l.tally.counts[k][o]})
		}
	}
	return s
}

// count counts one message. Of those that nobody should send, the first of each kind is written to the log.
func (l *Listener) count(k Kind, o Outcome, waited time.Duration, at time.Time, bad error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.counts[k][o]++
	l.tally.lastAt = at
	l.tally.behind = max(l.tally.behind, waited)
	if k != KindUnreadable && k != KindOther || l.tally.logged[k] {
		return
	}
	l.tally.logged[k] = true
	if bad != nil {
		l.log.Warn("a message of the queue of events cannot be read; further ones are counted only", zap.String("error", clip(bad.Error())))
		return
	}
	l.log.Warn("the queue of events has events that nobody reads; narrow the rule; further ones are counted only")
}

// clip bounds what strangers wrote.
func clip(s string) string {
	const most = 300
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
