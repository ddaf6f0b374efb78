package githost

import (
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/rollout"
)

func TestSay(t *testing.T) {
	first := good(asked("orders", "a1", "c1"))
	waits := asked("orders", "b2", "c2")
	waits.Good = first.Good
	target, _ := waits.Asks()
	rolls := waits
	rolls.Rollout = &rollout.Rollout{Number: 2, Kind: rollout.KindDeploy, Target: target}
	bad := rejected(waits, first)
	reverting := bad
	reverting.State, reverting.Rollout = rollout.StateReverting, &rollout.Rollout{Number: 3, Kind: rollout.KindRevert, Target: first.Good.Target}
	retried := bad
	retried.Rollout = &rollout.Rollout{Number: 4, Kind: rollout.KindDeploy, Target: target}
	stalled := waits
	stalled.Stalled = &rollout.Stall{Wanted: target.Ask, Message: "no capacity", Rollout: 2}
	nothingGood := rejected(waits, rollout.Record{})
	unknown := waits
	unknown.Pins = nil
	foreign := first
	foreign.Generation = 0
	for name, c := range map[string]struct {
		rec    rollout.Record
		state  State
		number int
		revert bool
	}{
		"good": {first, Success, 0, false}, "waits": {waits, Queued, 0, false}, "rolls": {rolls, InProgress, 2, false},
		"rejected and back": {bad, Failure, 2, true}, "reverting": {reverting, Failure, 2, false}, "tried again": {retried, InProgress, 4, false},
		"stalled": {stalled, Error, 2, false}, "rejected with no way back": {nothingGood, Failure, 2, false},
		"image unknown": {unknown, "", 0, false}, "never rolled here": {foreign, "", 0, false}, "nothing asked": {rollout.Record{Generation: 1}, "", 0, false},
	} {
		w, ok := Say(c.rec)
		if ok != (c.state != "") || w.State != c.state || w.Rollout != c.number || (w.Revert != nil) != c.revert {
			t.Errorf("%s: %v %+v", name, ok, w)
		}
	}
}

func TestSum(t *testing.T) {
	long := strings.Repeat("ö", 200)
	s := Sum("dev", "https://p", []Word{{Service: "a", State: Success}, {Service: "c", State: Failure, Why: long, Rollout: 7}, {Service: "b", State: Queued}})
	if s.State != "failure" || s.URL != "https://p/services/c/rollouts/7" || !strings.HasPrefix(s.Description, "1 of 3 good; c: ö") || len([]rune(s.Description)) != 140 || s.Context != "deploy/dev" {
		t.Errorf("%+v", s)
	}
	if s := Sum("dev", "", []Word{{Service: "a", State: InProgress, Why: "one\ntwo"}}); s.State != "pending" || s.URL != "" || s.Description != "a: one two" {
		t.Errorf("%+v", s)
	}
}

func TestBodyIsBounded(t *testing.T) {
	lines := []string{strings.Repeat("x", 100000)}
	w := Word{Service: "orders", Why: lines[0], At: time.Now(), Revert: &Revert{}}
	b := Body("dev", "", w, &rollout.Entry{Evidence: &rollout.Evidence{Log: lines, Events: lines, Targets: lines, Tasks: []rollout.TaskEvidence{{Reason: lines[0]}}}})
	if n := len([]rune(b)); n > 65536 {
		t.Errorf("%d characters, and GitHub takes 65536", n)
	}
}

func TestRepositoryOf(t *testing.T) {
	for source, want := range map[string]string{
		"https://github.com/canteen/deploy.git": "canteen/deploy", "https://github.com/canteen/deploy": "canteen/deploy", "git@github.com:canteen/deploy.git": "canteen/deploy",
		"ssh://git@github.com/canteen/deploy.git": "canteen/deploy", "/srv/repositories/deploy": "", "https://git.example/a/b/c": "", "": "",
	} {
		if got := RepositoryOf(source); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

func TestBranch(t *testing.T) {
	b := Branch("dev", "orders", "v1:0123456789abcdef")
	if s, ok := serviceOf("dev", b); b != "revert/dev/orders/0123456789ab" || !ok || s != "orders" {
		t.Errorf("%s is of %s, %v", b, s, ok)
	}
	for _, other := range []string{"revert/qa/orders/01", "revert/dev/orders", "main", "revert/dev//01"} {
		if s, ok := serviceOf("dev", other); ok {
			t.Errorf("%s is taken for ours, of %s", other, s)
		}
	}
}
