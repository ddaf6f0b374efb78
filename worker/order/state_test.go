package order

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAdvance(t *testing.T) {
	all := append(slices.Clone(way), StatusCancelled)
	// One row for each state that an order is in, one letter for each state that it is told to be in: apply, done, too
	// early, refused.
	for i, row := range []string{
		//p a p r c x
		"dattta",
		"ddatta",
		"dddata",
		"ddddaa",
		"dddddr",
		"rrrrrd",
	} {
		for j, want := range row {
			got := rune("adtr"[Advance(all[i], all[j])])
			if got != want {
				t.Errorf("%s → %s: %c, want %c", all[i], all[j], got, want)
			}
		}
	}
	if Advance("a state of tomorrow", StatusReady) != StepTooEarly || Advance(StatusReady, "a state of tomorrow") != StepTooEarly {
		t.Error("a state of a later release must wait for that release, not be overwritten")
	}
}

// Events come twice, late and in any order; those that came too early come again. An order goes each step at most once,
// never backwards, and none out of its end.
func TestAnyOrderOfEventsGoesEachStepOnce(t *testing.T) {
	events := []Status{StatusAccepted, StatusPreparing, StatusReady, StatusCollected, StatusCancelled}
	rapid.Check(t, func(t *rapid.T) {
		status, seen := StatusPlaced, map[Status]bool{StatusPlaced: true}
		for _, to := range rapid.SliceOfN(rapid.SampledFrom(events), 1, 60).Draw(t, "events") {
			if Advance(status, to) != StepApply {
				continue
			}
			if seen[to] {
				t.Fatalf("%s for the second time", to)
			}
			if status == StatusCancelled || status == StatusCollected {
				t.Fatalf("%s is an end, and %s came after it", status, to)
			}
			if to != StatusCancelled && slices.Index(way, to) != slices.Index(way, status)+1 {
				t.Fatalf("%s → %s leaves a step out", status, to)
			}
			status, seen[to] = to, true
		}
	})
}

// If each event is sent again until it is done, the order ends where it should, whatever came first.
func TestRepeatedEventsReachTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		open := rapid.Permutation(way[1:]).Draw(t, "events")
		status := StatusPlaced
		for rounds := 0; len(open) > 0; rounds++ {
			if rounds > len(way) {
				t.Fatalf("%v are never done in state %s", open, status)
			}
			open = slices.DeleteFunc(open, func(to Status) bool {
				switch Advance(status, to) {
				case StepApply:
					status = to
					return true
				case StepDone:
					return true
				}
				return false
			})
		}
		if status != StatusCollected {
			t.Fatalf("ended %s", status)
		}
	})
}

func TestParseEvent(t *testing.T) {
	id := strings.Repeat("A", 26)
	for name, tc := range map[string]struct {
		text string
		goal Status
	}{
		"placed":          {`{"type":"order.placed","orderId":"` + id + `","school":"north"}`, StatusAccepted},
		"kitchen":         {`{"type":"order.ready","orderId":"` + id + `","school":"north","cook":"new field"}`, StatusReady},
		"no JSON":         {`ready`, ""},
		"nothing":         {``, ""},
		"two":             {`{"type":"order.ready","orderId":"` + id + `","school":"north"}{}`, ""},
		"unknown type":    {`{"type":"order.eaten","orderId":"` + id + `","school":"north"}`, ""},
		"no type":         {`{"orderId":"` + id + `","school":"north"}`, ""},
		"no id":           {`{"type":"order.ready","orderId":"1","school":"north"}`, ""},
		"a person's name": {`{"type":"order.ready","orderId":"` + id + `","school":"Ann Smith"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := ParseEvent([]byte(tc.text))
			if e.Goal() != tc.goal || (tc.goal == "") != errors.Is(err, ErrUnknownEvent) {
				t.Errorf("%+v, goal %q, error %v", e, e.Goal(), err)
			}
			if err != nil && (strings.Contains(err.Error(), "Ann") || strings.Contains(err.Error(), "eaten")) {
				t.Errorf("%q repeats what was sent", err)
			}
			if again, errAgain := json.Marshal(e); err == nil && errAgain == nil {
				if back, err := ParseEvent(again); err != nil || back != e {
					t.Errorf("written and read again: %+v, %v", back, err)
				}
			}
		})
	}
}
