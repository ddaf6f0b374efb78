package rollout

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// unstarted is a migration's task that ended before its program ran.
func unstarted(reason string) *observed.Task {
	return &observed.Task{ARN: "task/m", LastStatus: "STOPPED", DesiredStatus: "STOPPED", StopCode: stopFailedToStart, StoppedReason: reason}
}

// tried asks for a migration's task, which does not start, and answers the token.
func (w *walker) tried(reason string) string {
	w.t.Helper()
	token := answer[RunMigration](w, Outcome{Task: "task/m"}).Token
	w.seen.Migration = unstarted(reason)
	w.pass()
	w.seen.Migration = nil
	if w.rec.Rollout.Stage == StageEvidence {
		w.pass()
	}
	return token
}

const (
	noImage = "CannotPullContainerError: access denied"
	noRoom  = "Capacity is unavailable at this time."
)

// Each task that is wanted has a token of its own, whatever git asked for in between: under the token of one that is over ECS answers
// with that one. A repeat after a lost answer has the same token, and so has the first request of a controller without a ledger.
func TestEachTryHasATokenOfItsOwn(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	answer[Register](w, Outcome{Revision: td(2)})
	var tokens []string
	next := func(reason string) {
		t.Helper()
		w.after(time.Hour)
		token := w.tried(reason)
		if slices.Contains(tokens, token) {
			t.Fatalf("the token of try %d is that of an earlier one", len(tokens)+1)
		}
		tokens = append(tokens, token)
	}
	next(noRoom)
	next(noImage)
	next(noImage)
	w.want.Intent = intentFor(digestA)
	w.rest(2)
	w.state(StateSettled)
	w.want.Intent = intentFor(digestB)
	next(noImage)
	w.want.Intent = intentFor(digestC)
	answer[Register](w, Outcome{Revision: td(3)})
	next(noImage)
	w.want.Intent = intentFor(digestB)
	for range migrationAttemptsMax {
		next(noRoom) // until it is stalled
	}
	w.rest(1)
	w.state(StateStalled)
	w.want.Intent = intentFor(digestA)
	w.rest(2)
	w.want.Intent = intentFor(digestB)

	w.after(time.Hour)
	first := w.pass().Action.(RunMigration)
	w.rec = Failed(w.now, w.rec, first, fault.New(fault.Lost, "timeout", errors.New("no answer"))).Record
	again := w.after(time.Minute).pass().Action.(RunMigration)
	if again.Token != first.Token || slices.Contains(tokens, first.Token) {
		t.Errorf("asks again under %s after %s; before that under %v", again.Token, first.Token, tokens)
	}

	w.rec, w.seen.Startable = Record{Service: "orders"}, map[string]observed.Startable{td(1): {OK: true}}
	answer[Register](w, Outcome{Revision: td(2)})
	for n, token := range tokens[:3] {
		if got := w.tried([]string{noRoom, noImage, noImage}[n]); got != token {
			t.Errorf("without a ledger try %d has the token %s, want %s", n+1, got, token)
		}
		w.after(time.Hour)
	}
}

// What is in doubt is written as it was when only lost migrations were.
func TestUnsettledAsBefore(t *testing.T) {
	for _, text := range []string{`"unknown":["v1:k"]`, `"unknown":["v1:k"],"tries":[{"key":"v1:k","token":"t","over":2}]`, `"tries":[{"key":"v1:k","token":"t","over":2}]`, ``} {
		var rec, again Record
		if err := json.Unmarshal([]byte("{"+text+"}"), &rec); err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal(rec)
		if err != nil || !strings.Contains(string(written), text) || json.Unmarshal(written, &again) != nil || !reflect.DeepEqual(rec, again) {
			t.Errorf("%s was read as %+v and written as %s: %v", text, rec, written, err)
		}
	}
}

// What is counted of a migration is forgotten with its success, and is bounded.
func TestTriesAreForgotten(t *testing.T) {
	w := newWalker(t)
	answer[Register](w, Outcome{Revision: td(1)})
	w.tried(noRoom)
	if len(w.rec.tries()) != 1 {
		t.Fatalf("tries %+v", w.rec.tries())
	}
	w.after(time.Minute)
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	answer[Tag](w, Outcome{})
	if w.rec.Unsettled != nil {
		t.Errorf("after its success: %+v", *w.rec.Unsettled)
	}
	rec := w.rec
	for n := range 2 * migratedMax {
		rec.Rollout.Retry = n
		rec = spend(rec)
	}
	if n := len(rec.tries()); n != migratedMax {
		t.Errorf("remembers %d", n)
	}
}
