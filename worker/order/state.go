package order

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Status is how far an order has come:
//
//	placed → accepted → preparing → ready → collected
//	   └─────────┴──────────┴─────────┴───→ cancelled
type Status string

// The states of an order. They are stored, and compared by releases before and after this one: none changes its name.
const (
	StatusPlaced    Status = "placed"    // answered 201; the kitchen has not looked yet
	StatusAccepted  Status = "accepted"  // its stock is reserved
	StatusPreparing Status = "preparing" // being cooked
	StatusReady     Status = "ready"
	StatusCollected Status = "collected"
	StatusCancelled Status = "cancelled"
)

// way is the way of an order that is not cancelled.
var way = []Status{StatusPlaced, StatusAccepted, StatusPreparing, StatusReady, StatusCollected}

// Step is what an event means to an order.
type Step int

const (
	StepApply    Step = iota // the order moves on
	StepDone                 // it has been there: the event came twice, or late
	StepTooEarly             // another event has to come first
	StepRefused              // it can never get there: it was cancelled, or collected before it was to be cancelled
)

// Advance tells what it means to an order in state from that it shall be in state to. However often and in whatever order
// events come, an order goes each step of its way at most once.
func Advance(from, to Status) Step {
	if from == to {
		return StepDone
	}
	at, goal := slices.Index(way, from), slices.Index(way, to)
	switch {
	case from == StatusCancelled || from == StatusCollected && to == StatusCancelled:
		return StepRefused
	case to == StatusCancelled:
		return StepApply
	case at < 0 || goal < 0: // a state of a later release
		return StepTooEarly
	case goal < at:
		return StepDone
	case goal == at+1:
		return StepApply
	default:
		return StepTooEarly
	}
}

// GivesStockBack tells whether an order that is cancelled in this state gives back what it had reserved: what is being
// cooked is gone.
func GivesStockBack(from Status) bool { return from == StatusAccepted }

// Event says that something happened to an order. It holds identifiers only, so that it may travel and be logged.
type Event struct {
	Type    string `json:"type"`
	OrderID string `json:"orderId"`
	School  string `json:"school"`
}

// EventPlaced is the event of a new order; it leaves the service through its outbox. The others come from the kitchen.
const EventPlaced = "order.placed"

// goals is what each type of event wants of its order.
var goals = map[string]Status{
	EventPlaced:       StatusAccepted,
	"order.preparing": StatusPreparing,
	"order.ready":     StatusReady,
	"order.collected": StatusCollected,
	"order.cancelled": StatusCancelled,
}

// Goal is the state that the event wants of its order; "" for a type that is not known.
func (e Event) Goal() Status { return goals[e.Type] }

// ID names the event: an order goes each step once, so that its order and its type do.
func (e Event) ID() string { return e.OrderID + "." + e.Type }

// ParseEvent reads one JSON event. Fields that it does not know are left alone: the kitchen's next release may send them.
// Anything else that is wrong is ErrUnknownEvent.
func ParseEvent(text []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(text, &e); err != nil {
		return Event{}, fmt.Errorf("%w: not one JSON event", ErrUnknownEvent) // the text itself is not repeated: it is somebody's
	}
	if e.Goal() == "" {
		return Event{}, fmt.Errorf("%w: no such type", ErrUnknownEvent)
	}
	if !ValidID(e.OrderID) || !identifier.MatchString(e.School) {
		return Event{}, fmt.Errorf("%w: orderId or school has not the form of one", ErrUnknownEvent)
	}
	return e, nil
}
