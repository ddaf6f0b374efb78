package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// The bounds of a history that is asked for.
const (
	historyDefault = 50
	historyMax     = 500
	historyShown   = 20 // with the service itself
)

// Services is the answer of /api/v1/services.
type Services struct {
	Environment string             `json:"environment"`
	Version     string             `json:"version,omitempty"` // of the controller
	At          time.Time          `json:"at"`
	Repository  status.RepoView    `json:"repository"`
	Lease       *status.Lease      `json:"lease,omitempty"`  // where several controllers share a ledger: which of them acts
	Events      *events.State      `json:"events,omitempty"` // where a queue of events is read
	Services    []condition.Status `json:"services"`         // in order of name
}

// Service is the answer of /api/v1/services/{name}.
type Service struct {
	condition.Status
	Labels     map[string]string            `json:"labels,omitempty"`
	Containers map[string]desired.Container `json:"containers,omitempty"` // as git asks
	Observed   status.Observed              `json:"observed"`

	Rollout  *Rollout            `json:"rollout,omitempty"` // in flight
	Good     *Good               `json:"good,omitempty"`
	Rejected []rollout.Rejection `json:"rejected,omitempty"`
	Drift    *rollout.Drift      `json:"drift,omitempty"`
	Blocked  *rollout.Hold       `json:"blocked,omitempty"`
	Stalled  *rollout.Stall      `json:"stalled,omitempty"`
	Trouble  *rollout.Trouble    `json:"trouble,omitempty"`
	Invalid  []desired.Error     `json:"invalid,omitempty"` // of its file

	History []Entry `json:"history"` // the newest 20
}

// Rollout is a rollout in flight.
type Rollout struct {
	Number     int                `json:"number"`
	Kind       rollout.Kind       `json:"kind"`
	Trigger    rollout.Trigger    `json:"trigger"`
	Ask        string             `json:"ask"`
	Commit     desired.Commit     `json:"commit"`
	Images     []string           `json:"images,omitempty"` // container:tag
	Stage      rollout.Stage      `json:"stage"`
	StartedAt  time.Time          `json:"startedAt"`
	StageAt    time.Time          `json:"stageAt"`
	Deadline   time.Time          `json:"deadline,omitzero"`
	BakeFrom   time.Time          `json:"bakeFrom,omitzero"`
	BakeUntil  time.Time          `json:"bakeUntil,omitzero"`
	Spans      []rollout.Span     `json:"spans,omitempty"`
	Revision   string             `json:"revision,omitempty"`
	Deployment string             `json:"deployment,omitempty"`
	Migration  string             `json:"migration,omitempty"` // task
	Output     []string           `json:"output,omitempty"`    // the last lines of a migration that succeeded
	Readings   []observed.Reading `json:"readings,omitempty"`
	Failure    *Evidence          `json:"failure,omitempty"`
}

// Good is the last good revision.
type Good struct {
	Ask      string         `json:"ask"`
	Commit   desired.Commit `json:"commit"`
	Images   []string       `json:"images,omitempty"`
	Digests  []string       `json:"digests,omitempty"` // of the images, in the same order
	Revision string         `json:"revision"`
	At       time.Time      `json:"at"`
}

// History is the answer of /api/v1/services/{name}/history.
type History struct {
	Service string  `json:"service"`
	Entries []Entry `json:"entries"` // newest first
}

// Entry is one finished rollout.
type Entry struct {
	rollout.Entry
	Evidence *Evidence `json:"evidence,omitempty"`
}

// Evidence is why a rollout failed.
type Evidence struct {
	rollout.Evidence
	Alarms []status.Alarm `json:"alarms,omitempty"`
}

func (s *server) listServices(w http.ResponseWriter, _ *http.Request) {
	snap := s.Board.Snapshot()
	out := Services{Environment: snap.Environment, Version: s.Version, At: snap.At, Repository: snap.Repo, Lease: snap.Lease, Events: snap.Events, Services: []condition.Status{}}
	for _, v := range snap.Services {
		out.Services = append(out.Services, v.Status)
	}
	respond(w, http.StatusOK, out)
}

func (s *server) getService(w http.ResponseWriter, r *http.Request) {
	snap := s.Board.Snapshot()
	v := snap.Service(r.PathValue("name"))
	if v == nil {
		noService(w, r.PathValue("name"))
		return
	}
	entries, err := s.history(r.Context(), v.Record.Service, historyShown)
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	respond(w, http.StatusOK, serviceOf(snap, v, entries))
}

func (s *server) getHistory(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	limit, err := limitOf(r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	entries, err := s.history(r.Context(), name, limit)
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	// The history of a service outlives its file.
	if len(entries) == 0 && s.Board.Snapshot().Service(name) == nil {
		noService(w, name)
		return
	}
	respond(w, http.StatusOK, History{Service: name, Entries: entries})
}

func (s *server) history(ctx context.Context, service string, limit int) ([]Entry, error) {
	entries, err := s.History(ctx, service, limit)
	if err != nil {
		return nil, fmt.Errorf("the history of %s cannot be read now: %w", service, err)
	}
	out := make([]Entry, 0, len(entries))
	for _, e := range entries {
		out = append(out, Entry{Entry: e, Evidence: evidenceOf(e.Evidence)})
	}
	return out, nil
}

func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return historyDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > historyMax {
		return 0, fmt.Errorf("limit is %q; it must be a number from 1 to %d", text, historyMax)
	}
	return n, nil
}

func noService(w http.ResponseWriter, name string) {
	problem(w, http.StatusNotFound, fmt.Sprintf("no service %q is known here; /api/v1/services lists those that are", name))
}

func serviceOf(snap status.Snapshot, v *status.View, entries []Entry) Service {
	rec := v.Record
	out := Service{
		Status: v.Status, Observed: v.Look(), Rejected: rec.Rejected, Drift: rec.Drift, Blocked: rec.Blocked, Stalled: rec.Stalled,
		Trouble: rec.Trouble, Invalid: invalidOf(snap.Repo, rec.Service), History: entries, Rollout: rolloutOf(rec.Rollout),
	}
	if rec.Intent != nil {
		out.Labels, out.Containers = rec.Intent.Service.Metadata.Labels, rec.Intent.Service.Spec.Containers
	}
	if g := rec.Good; g != nil {
		out.Good = &Good{Ask: g.Target.Ask, Commit: g.Target.Commit, Images: g.Target.Images(), Digests: g.Target.Digests(), Revision: g.Revision, At: g.At}
	}
	return out
}

func rolloutOf(r *rollout.Rollout) *Rollout {
	if r == nil {
		return nil
	}
	out := &Rollout{
		Number: r.Number, Kind: r.Kind, Trigger: r.Trigger, Ask: r.Target.Ask, Commit: r.Target.Commit, Images: r.Target.Images(),
		Stage: r.Stage, StartedAt: r.StartedAt, StageAt: r.StageAt, Deadline: r.Deadline, BakeFrom: r.BakeFrom, BakeUntil: r.BakeUntil, Spans: r.Spans,
		Revision: r.Revision, Readings: r.Readings, Failure: evidenceOf(r.Failure),
	}
	if r.Deployment != nil {
		out.Deployment = r.Deployment.ID
	}
	if r.Migration != nil {
		out.Migration, out.Output = r.Migration.Task, r.Migration.Log
	}
	return out
}

func evidenceOf(e *rollout.Evidence) *Evidence {
	if e == nil {
		return nil
	}
	return &Evidence{Evidence: *e, Alarms: status.Alarms(e.Alarms)}
}

// invalidOf returns the errors of the service's own file, in order of line.
func invalidOf(repo status.RepoView, service string) []desired.Error {
	for _, f := range invalidFiles(repo) {
		if f.Service == service {
			return f.Errors
		}
	}
	return nil
}

// invalidFile is one invalid file.
type invalidFile struct {
	File    string
	Service string // by the name of the file
	Errors  []desired.Error
}

// invalidFiles are the invalid files in order of name.
func invalidFiles(repo status.RepoView) []invalidFile {
	var out []invalidFile
	for file, errs := range repo.Invalid {
		sorted := slices.SortedStableFunc(slices.Values(errs), func(a, b desired.Error) int { return cmp.Or(a.Line-b.Line, a.Col-b.Col) })
		out = append(out, invalidFile{File: file, Service: serviceOfFile(file), Errors: sorted})
	}
	slices.SortFunc(out, func(a, b invalidFile) int { return cmp.Compare(a.File, b.File) })
	return out
}
