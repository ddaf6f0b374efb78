package server

import (
	"bytes"
	"embed"
	"io/fs"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	g "maragu.dev/gomponents"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// activityShown is how many of the last events the first page lists. Events that only change a sentence are left out; so
// many are looked through.
const (
	activityShown  = 30
	activityLooked = 300
)

// styleSheet is part of each page: a page that waited for it would be painted one answer later, behind all of its own rows.
//
//go:embed page.css
var styleSheet string

//go:embed static
var staticFiles embed.FS

// assets serves the script and the icon. They change with the binary only.
func assets() http.Handler {
	files := http.FileServerFS(staticFiles)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			problem(w, http.StatusNotFound, "folders are not listed")
			return
		}
		if _, err := fs.Stat(staticFiles, strings.TrimPrefix(r.URL.Path, "/")); err != nil {
			problem(w, http.StatusNotFound, "nothing is at "+r.URL.Path)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		files.ServeHTTP(w, r)
	})
}

// frame is what every page shows around its content.
type frame struct {
	Title       string
	Environment string
	Version     string
	Now         time.Time
	Repo        status.RepoView
	Lease       *status.Lease
	Events      *events.State
	NotReady    []string
	Query       string
	Peers       bool // there are other environments
}

type indexPage struct {
	frame
	Invalid  []invalidFile
	Phases   []phaseCount
	Total    int
	Rows     iter.Seq[row] // nil where there is none; each is made when the page comes to it
	Activity []status.Event
}

type row struct {
	condition.Status
	Runs   string
	GoodAt time.Time // of what runs; zero where something else is on its way
	Next   string
}

type phaseCount struct {
	Phase condition.Phase
	Count int
}

func (s *server) indexPage(w http.ResponseWriter, r *http.Request) {
	snap := s.Board.Snapshot()
	query := r.URL.Query().Get("q")
	page := indexPage{
		frame:   s.frame(snap, "services"),
		Invalid: invalidFiles(snap.Repo), Total: len(snap.Services), Activity: told(s.Board.Activity(activityLooked)),
	}
	page.Query = query
	counts := map[condition.Phase]int{}
	var found []*status.View
	for _, v := range snap.Services {
		counts[v.Status.Phase]++
		if matches(v.Status, query) {
			found = append(found, v)
		}
	}
	rank := map[condition.Phase]int{}
	for i, p := range condition.Phases() {
		rank[p] = i
		if counts[p] > 0 {
			page.Phases = append(page.Phases, phaseCount{p, counts[p]})
		}
	}
	// Stable: within a phase the order of names stays.
	slices.SortStableFunc(found, func(a, b *status.View) int { return rank[a.Status.Phase] - rank[b.Status.Phase] })
	if len(found) > 0 {
		page.Rows = func(yield func(row) bool) {
			for _, v := range found {
				if !yield(rowOf(snap.At, v)) {
					return
				}
			}
		}
	}
	renderLong(w, page.html())
}

func rowOf(now time.Time, v *status.View) row {
	r := row{Status: v.Status, Runs: runsWords(v), Next: nextWords(now, v)}
	if v.Record.Good != nil && r.Runs == versionWords(v.Status.Running) {
		r.GoodAt = v.Record.Good.At
	}
	return r
}

// told are the events that people want to read one below the other.
func told(events []status.Event) []status.Event {
	var out []status.Event
	for _, e := range events {
		if e.Kind == status.EventService && e.Phase == e.Before {
			continue
		}
		if out = append(out, e); len(out) == activityShown {
			break
		}
	}
	return out
}

// matches reports whether each word of the query is part of the service's name, phase or version.
func matches(s condition.Status, query string) bool {
	if query == "" {
		return true
	}
	text := strings.ToLower(strings.Join([]string{s.Service, string(s.Phase), versionWords(s.Running), versionWords(s.Wanted)}, " "))
	for word := range strings.FieldsSeq(strings.ToLower(query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

type servicePage struct {
	frame
	Service
	Row          row
	Stages       []stage
	Differences  []difference
	Chart        *chart
	Refused      *Entry // the rollout that is why what git asks does not run
	HistoryError string
}

func (s *server) servicePage(w http.ResponseWriter, r *http.Request) {
	snap := s.Board.Snapshot()
	v := snap.Service(r.PathValue("name"))
	if v == nil {
		noService(w, r.PathValue("name"))
		return
	}
	entries, err := s.history(r.Context(), v.Record.Service, historyShown)
	page := servicePage{frame: s.frame(snap, v.Record.Service), Service: serviceOf(snap, v, entries), Row: rowOf(snap.At, v), Refused: refused(v, entries)}
	if err != nil {
		// What runs is worth showing even where what ran cannot be read.
		page.HistoryError = err.Error()
	}
	var runs *rollout.Target
	if g := v.Record.Good; g != nil {
		runs = &g.Target
	}
	page.Differences, page.Chart = differences(page.Containers, runs), chartOf(entries, snap.At)
	if page.Rollout != nil {
		page.Stages = stagesOf(page.Rollout, snap.At)
	} else {
		page.Observed = s.looks.now(r.Context(), v.Record.Service).onto(page.Observed)
	}
	render(w, pageType, page.html())
}

func (s *server) frame(snap status.Snapshot, title string) frame {
	return frame{Title: title, Environment: snap.Environment, Version: s.Version, Now: snap.At, Repo: snap.Repo, Lease: snap.Lease, Events: snap.Events, NotReady: s.Ready(), Peers: len(s.Peers) > 0}
}

// pageType is what a page is sent as.
const pageType = "text/html; charset=utf-8"

// render writes the whole of a page or a picture, or nothing.
func render(w http.ResponseWriter, mediaType string, what g.Node) {
	var out bytes.Buffer
	_ = what.Render(&out) // only what is written to can fail, and a buffer takes everything
	w.Header().Set("Content-Type", mediaType)
	_, _ = out.WriteTo(w) // a client that is gone needs no page
}
