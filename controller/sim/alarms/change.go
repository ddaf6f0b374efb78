package alarms

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Change is an alarm that took another state. Exactly one of Metric and Composite is set, as it is afterwards.
type Change struct {
	At        time.Time
	Old       State
	Metric    *types.MetricAlarm
	Composite *types.CompositeAlarm
}

// State is an alarm's state since At.
type State struct {
	Value              types.StateValue
	Reason, ReasonData string
	At                 time.Time
}

// Observe sets who is told of changed states, in order and without a lock held.
func (e *Engine) Observe(changed func(Change)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.observe = changed
}

// become gives an alarm a state. The caller holds the lock and calls tell after it.
func (e *Engine) become(name string, value types.StateValue, reason string, data *string) {
	now := time.Now()
	if a, ok := e.metric[name]; ok {
		old := State{a.StateValue, aws.ToString(a.StateReason), aws.ToString(a.StateReasonData), *a.StateUpdatedTimestamp}
		if a.StateValue != value {
			a.StateTransitionedTimestamp = &now
		}
		a.StateValue, a.StateReason, a.StateReasonData, a.StateUpdatedTimestamp = value, &reason, data, &now
		e.metric[name] = a
		if old.Value != value {
			e.news = append(e.news, Change{At: now, Old: old, Metric: &a})
		}
		return
	}
	a := e.composite[name]
	old := State{a.StateValue, aws.ToString(a.StateReason), aws.ToString(a.StateReasonData), *a.StateUpdatedTimestamp}
	if a.StateValue != value {
		a.StateTransitionedTimestamp = &now
	}
	a.StateValue, a.StateReason, a.StateReasonData, a.StateUpdatedTimestamp = value, &reason, data, &now
	e.composite[name] = a
	if old.Value != value {
		e.news = append(e.news, Change{At: now, Old: old, Composite: &a})
	}
}

// tell delivers what is queued; one goroutine does at a time, so that the order is kept.
func (e *Engine) tell() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.telling {
		return
	}
	e.telling = true
	for len(e.news) > 0 {
		next, observe := e.news[0], e.observe
		e.news = e.news[1:]
		if observe == nil {
			continue
		}
		e.mu.Unlock()
		observe(next)
		e.mu.Lock()
	}
	e.telling = false
}
