package server_test

import (
	"os"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/status"
)

// The script fetches the page anew for whatever happens; that it was cut off is told by the stream's end.
func TestThePageHearsEveryKindOfEvent(t *testing.T) {
	script, err := os.ReadFile("static/page.js")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), "for (const kind of [")
	list, _, _ = strings.Cut(list, "]")
	for _, kind := range []status.EventKind{status.EventService, status.EventRemoved, status.EventRollout, status.EventRepository, status.EventLease, status.EventLedger, "reset"} {
		if !strings.Contains(list, `"`+string(kind)+`"`) {
			t.Errorf("the script does not listen to %q: it listens to %s", kind, list)
		}
	}
}
