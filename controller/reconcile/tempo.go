package reconcile

import (
	"sync"
	"time"
)

// tempo is how far behind the looks at services that roll are: AWS's request limits, or this machine, may not allow as many as
// are asked for, and then each service's turn comes round later, the next one's as well. It is measured over all of them, so that one
// service that nobody could look at does not count as slowness.
type tempo struct {
	mu     sync.Mutex
	due    map[string]time.Time
	behind time.Duration
}

const (
	tempoWeight = 16 // of how many looks it is about the average
	tempoMax    = 10 * time.Minute
)

// begins tells of a look that begins now, and answers how far behind looks are at present.
func (t *tempo) begins(service string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if due, ok := t.due[service]; ok {
		delete(t.due, service)
		t.behind += (min(max(0, now.Sub(due)), tempoMax) - t.behind) / tempoWeight
	}
	return t.behind
}

// ends tells when the next look at a service that rolls is due. Of others nothing is measured.
func (t *tempo) ends(service string, rolls bool, due time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !rolls {
		return
	}
	if t.due == nil {
		t.due = map[string]time.Time{}
	}
	t.due[service] = due
}
