package server

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// activityAnswered is how many events of the activity are answered: all that are remembered, and so many rollouts of before.
const activityAnswered = status.ActivityMax

// Activity is the answer of /api/v1/activity.
type Activity struct {
	Environment string         `json:"environment"`
	Entries     []status.Event `json:"entries"` // newest first
}

type activityPage struct {
	frame
	Entries []status.Event
	Kind    status.EventKind
	Kinds   []status.EventKind
	Words   string
	Same    url.Values // the query of the same filter, for the other forms
}

// activity is what happened, newest first: the events that this process remembers, and of the time before it the rollouts that
// the ledger has. kind and q of the request choose among them; where they choose none the list is empty, not nil.
func (s *server) activity(ctx context.Context, kind status.EventKind, query string) ([]status.Event, error) {
	entries, err := s.before.now(ctx, s.Recent)
	if err != nil {
		return nil, fmt.Errorf("the history cannot be read now: %w", err)
	}
	all := s.Board.Activity(activityAnswered) // after the entries, so that it has what ended since
	all = append(all, before(all, entries)...)
	out := []status.Event{}
	for _, e := range all {
		if (kind == "" || e.Kind == kind) && tells(e, query) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b status.Event) int { return b.At.Compare(a.At) })
	return out, nil
}

// remembered keeps the ledger's entries for a while: of what happened since this process began the events tell, and readers who come
// back with each of them should not cost a reading of the ledger each.
type remembered struct {
	mu   sync.Mutex
	at   time.Time
	last []rollout.Entry
}

const rememberedFor = 10 * time.Second

func (r *remembered) now(ctx context.Context, read func(context.Context, int) ([]rollout.Entry, error)) ([]rollout.Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < rememberedFor {
		return r.last, nil
	}
	entries, err := read(ctx, historyMax)
	if err != nil {
		return nil, err
	}
	r.at, r.last = time.Now(), entries
	return entries, nil
}

// before are the entries that no event tells of, as events.
func before(events []status.Event, entries []rollout.Entry) []status.Event {
	type ended struct {
		service string
		number  int
	}
	told := map[ended]bool{}
	for _, e := range events {
		if e.Kind == status.EventRollout {
			told[ended{e.Service, e.Number}] = true
		}
	}
	var out []status.Event
	for _, e := range entries {
		if !told[ended{e.Service, e.Number}] {
			out = append(out, status.Event{At: e.EndedAt, Kind: status.EventRollout, Service: e.Service, Message: e.Message, Commit: e.Commit.Short(), Rollout: e.Kind, Number: e.Number, Result: e.Result})
		}
	}
	return out
}

// tells reports whether each word of the query is part of the event.
func tells(e status.Event, query string) bool {
	text := strings.ToLower(strings.Join([]string{e.Service, string(e.Phase), string(e.Rollout), string(e.Result), e.Commit, e.Message}, " "))
	for word := range strings.FieldsSeq(strings.ToLower(query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

func (s *server) activityPage(w http.ResponseWriter, r *http.Request) {
	kind, query := status.EventKind(r.URL.Query().Get("kind")), r.URL.Query().Get("q")
	entries, err := s.activity(r.Context(), kind, query)
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	render(w, pageType, activityPage{
		frame: s.frame(s.Board.Snapshot(), "activity"), Entries: entries[:min(len(entries), historyMax)], Kind: kind, Words: query,
		Same:  url.Values{"kind": {string(kind)}, "q": {query}},
		Kinds: []status.EventKind{status.EventService, status.EventRollout, status.EventRepository, status.EventRemoved, status.EventLease, status.EventLedger},
	}.html())
}

func (s *server) listActivity(w http.ResponseWriter, r *http.Request) {
	entries, err := s.activity(r.Context(), status.EventKind(r.URL.Query().Get("kind")), r.URL.Query().Get("q"))
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	respond(w, http.StatusOK, Activity{Environment: s.Board.Snapshot().Environment, Entries: entries})
}

// listActivityCSV answers the same for a spreadsheet (RFC 4180), with a line of names.
func (s *server) listActivityCSV(w http.ResponseWriter, r *http.Request) {
	entries, err := s.activity(r.Context(), status.EventKind(r.URL.Query().Get("kind")), r.URL.Query().Get("q"))
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="activity.csv"`)
	lines := csv.NewWriter(w)
	lines.UseCRLF = true
	_ = lines.Write([]string{"at", "kind", "service", "phase", "before", "rollout", "number", "result", "commit", "message"})
	for _, e := range entries {
		number := ""
		if e.Number > 0 {
			number = strconv.Itoa(e.Number)
		}
		line := []string{e.At.UTC().Format(time.RFC3339), string(e.Kind), e.Service, string(e.Phase), string(e.Before), string(e.Rollout), number, string(e.Result), e.Commit, e.Message}
		for i := range line {
			line[i] = noFormula(line[i])
		}
		_ = lines.Write(line)
	}
	lines.Flush() // a client that is gone needs no answer
}

// noFormula keeps a spreadsheet from taking what somebody wrote into a commit for a formula.
func noFormula(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
