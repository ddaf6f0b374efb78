package server

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/queue"
)

type controllerPage struct {
	frame
	Queue         *queue.Stats
	Invalid       []invalidFile
	Services      int
	LedgerWritten *bool
	API           api
}

func (s *server) controllerPage(w http.ResponseWriter, _ *http.Request) {
	snap := s.Board.Snapshot()
	page := controllerPage{
		frame: s.frame(snap, "controller"), Queue: s.Board.QueueStats(), Invalid: invalidFiles(snap.Repo), Services: len(snap.Services),
		LedgerWritten: snap.LedgerWritten, API: s.api.now(s.Gatherer, snap.At),
	}
	render(w, pageType, page.html())
}

// api is what the controller's requests to AWS come to, as the metrics tell it.
type api struct {
	Budgets   []budget    // in order of name
	Throttles []throttles // the most first; only those that were throttled
	Requests  float64
	Error     string // why it cannot be told
}

type budget struct {
	Name      string
	PerSecond float64
	Waiting   float64
}

type throttles struct {
	Call  string
	Count float64
}

// gathered keeps the numbers for a while: to gather them costs as much as a scrape.
type gathered struct {
	mu   sync.Mutex
	at   time.Time
	last api
}

const gatheredFor = 2 * time.Second

func (g *gathered) now(from prometheus.Gatherer, now time.Time) api {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.at.IsZero() || now.Sub(g.at) >= gatheredFor {
		g.at, g.last = now, gather(from)
	}
	return g.last
}

func gather(from prometheus.Gatherer) api {
	var out api
	families, err := from.Gather()
	if err != nil {
		out.Error = err.Error() // what could be gathered comes all the same
	}
	budgets := map[string]*budget{}
	of := func(name string) *budget {
		if budgets[name] == nil {
			budgets[name] = &budget{Name: name}
		}
		return budgets[name]
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch f.GetName() {
			case "deploy_aws_budget_requests_per_second":
				of(labels["budget"]).PerSecond = m.GetGauge().GetValue()
			case "deploy_aws_budget_waiting_requests":
				of(labels["budget"]).Waiting = m.GetGauge().GetValue()
			case "deploy_aws_requests_total":
				out.Requests += m.GetCounter().GetValue()
			case "deploy_aws_throttles_total":
				if n := m.GetCounter().GetValue(); n > 0 {
					out.Throttles = append(out.Throttles, throttles{labels["service"] + " " + labels["operation"], n})
				}
			}
		}
	}
	for _, b := range budgets {
		out.Budgets = append(out.Budgets, *b)
	}
	slices.SortFunc(out.Budgets, func(a, b budget) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Throttles, func(a, b throttles) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Call, b.Call)) })
	return out
}
