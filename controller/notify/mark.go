package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// markSchema is the version of Mark.
const markSchema = 1

// Mark is how far one receiver was told of one service, or, under the empty name, of the environment.
type Mark struct {
	Schema int `json:"schema"`
	// Number is the newest rollout that the receiver was told of or that was passed over, and Ended whether also its end.
	Number int  `json:"number"`
	Ended  bool `json:"ended,omitempty"`
	// Told is how often each condition was ever told, of which keys are made.
	Told   map[Event]int    `json:"told,omitempty"`
	Thread *Thread          `json:"thread,omitempty"` // of the newest rollout that was told
	Open   map[Event]Opened `json:"open,omitempty"`   // conditions that were told and last
	// Tries is the ask whose blocked rollouts are told once: its further tries say nothing new.
	Tries string `json:"tries,omitempty"`
	// From is since when the receiver is known: what was before is not told to it. Of the environment's mark alone.
	From time.Time `json:"from,omitzero"`
	// Outages are those that last, by cause; of the environment's mark alone.
	Outages map[string]Opened `json:"outages,omitempty"`
}

// Thread is where the messages of one rollout, and of the revert after it, stand.
type Thread struct {
	First int    `json:"first"` // the rollout that it began with
	Last  int    `json:"last"`
	Post  string `json:"post,omitempty"` // the receiver's own name of its first message
}

// Opened is a condition that was told.
type Opened struct {
	Key    string `json:"key"`
	Cause  string `json:"cause,omitempty"`
	Number int    `json:"number,omitempty"` // the newest rollout at that time
	Post   string `json:"post,omitempty"`
	Outage bool   `json:"outage,omitempty"` // an outage told it
	Silent bool   `json:"silent,omitempty"` // nobody was told, as no route matched
}

func (m Mark) clone() Mark {
	if m.Thread != nil {
		t := *m.Thread
		m.Thread = &t
	}
	m.Told, m.Open, m.Outages = maps.Clone(m.Told), maps.Clone(m.Open), maps.Clone(m.Outages)
	return m
}

// tell counts a condition that is told.
func (m *Mark) tell(e Event) {
	if m.Told == nil {
		m.Told = map[Event]int{}
	}
	m.Told[e]++
}

// past reports whether the mark is behind a rollout's beginning or end.
func (m Mark) past(number int, ended bool) bool {
	return m.Number > number || m.Number == number && (m.Ended || !ended)
}

func decodeMark(data []byte) (Mark, error) {
	var m Mark
	if err := json.Unmarshal(data, &m); err != nil {
		return Mark{}, fmt.Errorf("it is not a mark: %w", err)
	}
	if m.Schema > markSchema {
		return Mark{}, fmt.Errorf("it has schema %d and this controller knows up to %d", m.Schema, markSchema)
	}
	return m, nil
}

func encodeMark(m Mark) ([]byte, error) {
	m.Schema = markSchema
	return json.Marshal(m)
}
