package server

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Records is the first line of the answer of /api/v1/records: whose records follow.
type Records struct {
	Environment string    `json:"environment"`
	Account     string    `json:"account"`
	Region      string    `json:"region"`
	Version     string    `json:"version,omitempty"` // of the controller
	Schema      int       `json:"schema"`            // of the records: rollout.Schema
	At          time.Time `json:"at"`
	Services    int       `json:"services"` // so many lines follow
}

// Known is each line after it: what the controller remembers of one service, and what it saw last. Both are as they may be
// shown (rollout.Shared); their members are the controller's own and follow its version.
type Known struct {
	Record rollout.Record   `json:"record"`
	Seen   observed.Service `json:"seen"`
}

// listRecords answers line by line, so that neither side must hold all of ten thousand services as one text.
func (s *server) listRecords(w http.ResponseWriter, _ *http.Request) {
	var env *desired.Environment
	if s.Environment != nil {
		env = s.Environment()
	}
	if env == nil {
		problem(w, http.StatusServiceUnavailable, "no valid environment.yaml has been read yet; ask again once /readyz says 200")
		return
	}
	snap := s.Board.Snapshot()
	if snap.Lease.Standby() {
		// It knows the records and has never looked at the account.
		problem(w, http.StatusServiceUnavailable, "this controller stands by and looks at no account; ask the one that acts: "+cmp.Or(snap.Lease.Leader, "none does now"))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	first := Records{Environment: snap.Environment, Account: env.Spec.Account, Region: env.Spec.Region, Version: s.Version, Schema: rollout.Schema, At: snap.At, Services: len(snap.Services)}
	if lines.Encode(first) != nil {
		return
	}
	for _, v := range snap.Services {
		var k Known
		k.Record, k.Seen = rollout.Shared(v.Record, v.Seen.Service())
		if lines.Encode(k) != nil {
			return // a client that is gone needs no answer
		}
	}
}
