package githost

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/githost/standin"
)

// noClosing refuses to change so many pull requests, as where the App has lost a permission.
func (w *town) noClosing(times int) {
	w.server.Refuse(func(r *http.Request) *standin.Refusal {
		if r.Method != http.MethodPatch || times == 0 {
			return nil
		}
		times--
		return &standin.Refusal{Code: http.StatusForbidden, Body: `{"message":"Resource not accessible by integration"}`}
	})
}

// Whoever merges a revert pull request that is moot takes a good version back: one that could not be closed is closed with the next
// verdict.
func TestARefusedClosingIsTriedWithTheNextVerdict(t *testing.T) {
	w := newTown(t)
	first := good(asked("orders", "a1", w.ask("a1", "orders", "menus")))
	bad := rejected(asked("orders", "b2", w.ask("b2", "orders")), first)
	s, _ := w.speak(bad, good(asked("menus", "a1", first.Intent.Commit.SHA)))
	w.pull("open")
	w.noClosing(100)
	next := good(asked("orders", "c3", w.ask("c3", "orders")))
	s.Note(next)
	w.says(next.Intent.Commit.SHA, "success", "")
	w.await("refusal", func() error {
		if w.server.Refused() == 0 {
			return fmt.Errorf("nobody tried to close it")
		}
		return nil
	})
	w.server.Refuse(nil)
	s.Note(good(asked("menus", "d4", w.ask("d4", "menus"))))
	w.pull("closed")
}

// Without a verdict it is tried an hour later.
func TestARefusedClosingIsTriedAnHourLater(t *testing.T) {
	s := New(nil, "", zap.NewNop(), nil)
	if !s.takeMoved() || s.takeMoved() {
		t.Fatal("what was missed is looked for once in the beginning")
	}

	s.putOff(Word{}, false, time.Now().Add(20*time.Minute))
	if _, found, wait := s.next(); found || wait > 20*time.Minute || s.takeMoved() {
		t.Errorf("waits %s, found %t", wait, found)
	}

	s.putOff(Word{}, false, time.Now().Add(-time.Millisecond))
	if _, _, wait := s.next(); wait > 0 || !s.takeMoved() || s.takeMoved() {
		t.Error("not tried, or more than once")
	}
}

// One that the host refuses to close keeps no other from being closed.
func TestARefusedClosingKeepsNoOtherOpen(t *testing.T) {
	w := newTown(t)
	back := w.ask("a1", "orders", "menus")
	w.ask("b2", "orders", "menus")
	for _, name := range []string{"menus", "orders"} {
		if opened, err := w.host.pull(t.Context(), "revert/dev/"+name+"/1", "desired/dev/"+name+".yaml", back, "title", "body"); err != nil || !opened {
			t.Fatalf("%t, %v", opened, err)
		}
	}
	w.noClosing(1)
	closed, err := w.host.closePulls(t.Context(), "dev", func(string, string) string { return "git moved on" })
	if _, _, refused := judge(err, time.Now()); len(closed) != 1 || !refused {
		t.Errorf("closed %v, %v", closed, err)
	}
}
