package server

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// rolloutPage is everything that is kept of one rollout, at an address that stays.
type rolloutPage struct {
	frame
	Service string
	Number  int
	Entry   *Entry   // of one that ended
	Flight  *Rollout // of one in flight
	Stages  []stage
	Cause   *Entry // of a revert, an undo or a restore: the rollout that it answers
	Answer  *Entry // of one that failed: what put the last good version back
	Putting *Rollout
	Before  *Entry
	After   *Entry
}

// rolloutPage answers /services/{name}/rollouts/{number}: 404 for a number that never was or that the ledger has forgotten.
func (s *server) rolloutPage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 1 {
		problem(w, http.StatusNotFound, fmt.Sprintf("a rollout's address ends with its number, such as /services/%s/rollouts/1", name))
		return
	}
	entries, err := s.history(r.Context(), name, historyMax)
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	snap := s.Board.Snapshot()
	page := rolloutPage{frame: s.frame(snap, fmt.Sprintf("%s #%d", name, number)), Service: name, Number: number}
	if !page.fill(entries, flight(snap, name)) {
		problem(w, http.StatusNotFound, fmt.Sprintf("no rollout %d of %s is known; the newest %d of each service are kept", number, name, ledger.HistoryMax))
		return
	}
	if page.Flight != nil {
		page.Stages = stagesOf(page.Flight, snap.At)
	} else {
		page.Stages = finished(page.Entry)
	}
	render(w, pageType, page.html())
}

// fill finds the rollout among those that ended, newest first, and the one in flight; false where it is neither.
func (p *rolloutPage) fill(entries []Entry, flying *Rollout) bool {
	if flying != nil && flying.Number == p.Number {
		p.Flight = flying
		if len(entries) > 0 {
			p.Before = &entries[0]
		}
		if flying.Kind != rollout.KindDeploy && flying.Trigger == rollout.TriggerFailure {
			p.Cause = p.Before
		}
		return true
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Number == p.Number })
	if i < 0 {
		return false
	}
	p.Entry = &entries[i]
	if i+1 < len(entries) {
		p.Before = &entries[i+1]
	}
	if i > 0 {
		p.After = &entries[i-1]
	}
	if p.Entry.Kind != rollout.KindDeploy && p.Entry.Trigger == rollout.TriggerFailure {
		p.Cause = p.Before
	}
	if p.Entry.Evidence != nil && p.Entry.Kind == rollout.KindDeploy {
		switch {
		case p.After != nil && p.After.Kind != rollout.KindDeploy:
			p.Answer = p.After
		case p.After == nil && flying != nil && flying.Kind != rollout.KindDeploy:
			p.Putting = flying
		}
	}
	return true
}

func flight(snap status.Snapshot, service string) *Rollout {
	if v := snap.Service(service); v != nil {
		return rolloutOf(v.Record.Rollout)
	}
	return nil
}
