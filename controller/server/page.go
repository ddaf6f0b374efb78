package server

import (
	"bytes"
	"embed"
	"html/template"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// activityShown is how many of the last events the first page lists. Events that only change a sentence are left out; so
// many are looked through.
const (
	activityShown  = 30
	activityLooked = 300
)

//go:embed templates/*.html
var templateFiles embed.FS

// styleSheet is part of each page: a page that waited for it would be painted one answer later, behind all of its own rows.
//
//go:embed templates/page.css
var styleSheet string

//go:embed static
var staticFiles embed.FS

func parse(name string) *template.Template {
	return template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"glyph": condition.Phase.Glyph, "tone": tone, "age": age, "clock": clock, "stamp": stamp, "short": short,
		"style": func() template.CSS { return template.CSS(styleSheet) }, // ours, with no word of anybody else's
		"took":  took, "version": versionWords, "tail": tail, "until": Until, "span": Age, "differs": differs,
		"tags":     func(images []string) string { return Tags(condition.Version{Images: images}) },
		"ago":      func(now, at time.Time) moment { return moment{now, at} },
		"activity": func(now time.Time, entries []status.Event) happened { return happened{now, entries} },
		"checks":   func(readings []observed.Reading, now time.Time) checks { return checks{now, readings} },
		"nth": func(list []string, i int) string {
			if i >= len(list) {
				return "" // an earlier controller kept none, or none is known
			}
			return list[i]
		},
	}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/"+name))
}

// moment is a time and when it is told.
type moment struct{ Now, At time.Time }

// happened are events, and when it is told.
type happened struct {
	Now     time.Time
	Entries []status.Event
}

// checks are what checks said, and when it is told.
type checks struct {
	Now      time.Time
	Readings []observed.Reading
}

// assets serves the script and the icon. They change with the binary only.
func assets() http.Handler {
	files := http.FileServerFS(staticFiles)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			problem(w, http.StatusNotFound, "folders are not listed")
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
	renderLong(w, s.index, page)
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
	Refused      *Entry // the newest rollout that failed, where that is why the newest ask does not run
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
	page := servicePage{frame: s.frame(snap, v.Record.Service), Service: serviceOf(snap, v, entries), Row: rowOf(snap.At, v), Refused: refused(v.Status.Phase, entries)}
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
	render(w, s.service, page)
}

func refused(p condition.Phase, entries []Entry) *Entry {
	if p != condition.PhaseReverting && p != condition.PhaseReverted && p != condition.PhaseStalled {
		return nil
	}
	if i := slices.IndexFunc(entries, func(e Entry) bool { return e.Evidence != nil }); i >= 0 {
		return &entries[i]
	}
	return nil
}

func (s *server) frame(snap status.Snapshot, title string) frame {
	return frame{Title: title, Environment: snap.Environment, Version: s.Version, Now: snap.At, Repo: snap.Repo, Lease: snap.Lease, Events: snap.Events, NotReady: s.Ready(), Peers: len(s.Peers) > 0}
}

// render writes the whole page or none of it.
func render(w http.ResponseWriter, t *template.Template, page any) {
	var out bytes.Buffer
	if err := t.Execute(&out, page); err != nil {
		problem(w, http.StatusInternalServerError, "the page cannot be shown: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w) // a client that is gone needs no page
}
