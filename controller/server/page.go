package server

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/status"
)

// activityShown is how many of the last events the first page lists.
const activityShown = 30

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

func parse(name string) *template.Template {
	return template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"glyph": condition.Phase.Glyph, "tone": tone, "age": age, "clock": clock, "stamp": stamp, "short": short,
		"took": took, "version": versionWords, "tail": tail, "until": Until, "span": Age, "differs": differs,
		"ago": func(now, at time.Time) moment { return moment{now, at} },
	}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/"+name))
}

// moment is a time and when it is told.
type moment struct{ Now, At time.Time }

// assets serves the style sheet, the script and the icon. They change with the binary only.
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
	Query       string
}

type indexPage struct {
	frame
	Invalid  []invalidFile
	Phases   []phaseCount
	Total    int
	Rows     []condition.Status
	Activity []status.Event
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
		Invalid: invalidFiles(snap.Repo), Total: len(snap.Services), Activity: s.Board.Activity(activityShown),
	}
	page.Query = query
	counts := map[condition.Phase]int{}
	for _, v := range snap.Services {
		counts[v.Status.Phase]++
		if matches(v.Status, query) {
			page.Rows = append(page.Rows, v.Status)
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
	slices.SortStableFunc(page.Rows, func(a, b condition.Status) int { return rank[a.Phase] - rank[b.Phase] })
	render(w, s.index, page)
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
	Stages       []stage
	HistoryError string
}

// stage is one stage on the rail of a rollout in flight.
type stage struct {
	Name string
	Mark string // done, now or open
	Took time.Duration
}

func (s *server) servicePage(w http.ResponseWriter, r *http.Request) {
	snap := s.Board.Snapshot()
	v := snap.Service(r.PathValue("name"))
	if v == nil {
		noService(w, r.PathValue("name"))
		return
	}
	entries, err := s.history(r.Context(), v.Record.Service, historyShown)
	page := servicePage{frame: s.frame(snap, v.Record.Service), Service: serviceOf(snap, v, entries)}
	if err != nil {
		// What runs is worth showing even where what ran cannot be read.
		page.HistoryError = err.Error()
	}
	if page.Rollout != nil {
		page.Stages = stagesOf(page.Rollout, snap.At)
	}
	render(w, s.service, page)
}

func (s *server) frame(snap status.Snapshot, title string) frame {
	return frame{Title: title, Environment: snap.Environment, Version: s.Version, Now: snap.At, Repo: snap.Repo}
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
