package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/condition"
)

// The bounds of what a peer may cost.
const (
	peerTimeout  = 3 * time.Second
	peerKept     = 5 * time.Second
	peerBytesMax = 32 << 20
)

// Peer is the controller of another environment.
type Peer struct {
	Name string // of the environment
	URL  string // without a slash at its end
}

// ParsePeer reads NAME=URL. The URL is http or https, without user, query or fragment.
func ParsePeer(text string) (Peer, error) {
	name, address, ok := strings.Cut(text, "=")
	u, err := url.Parse(address)
	switch {
	case !ok || name == "":
		return Peer{}, fmt.Errorf("%q is no peer; write its environment and its address, such as dev=https://deploy.dev.example", text)
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return Peer{}, fmt.Errorf("the address of peer %s is no http or https URL; write one such as %s=https://deploy.%s.example", name, name, name)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return Peer{}, fmt.Errorf("the address of peer %s has a user, a query or a fragment; leave them out, since everybody who sees the page sees it", name)
	}
	return Peer{Name: name, URL: strings.TrimSuffix(u.String(), "/")}, nil
}

// peers asks other controllers what they tell, at most every few seconds each, and only when somebody looks.
type peers struct {
	list   []Peer
	client *http.Client
	mu     []sync.Mutex // one for each peer: who comes second waits for the first one's answer
	last   []environment
}

func newPeers(list []Peer) *peers {
	return &peers{
		list: list, mu: make([]sync.Mutex, len(list)), last: make([]environment, len(list)),
		client: &http.Client{
			Timeout:       peerTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// environment is one column: what its controller told, or why it told nothing.
type environment struct {
	Name     string
	URL      string // empty for this controller's own
	At       time.Time
	Error    string
	services map[string]condition.Status
}

// all are the environments in the order in which they were named. This controller's own stands where it was named, else last.
func (p *peers) all(ctx context.Context, own environment) []environment {
	out := make([]environment, len(p.list))
	var asking sync.WaitGroup
	for i, peer := range p.list {
		if peer.Name == own.Name {
			out[i] = own
			continue
		}
		asking.Go(func() {
			p.mu[i].Lock()
			defer p.mu[i].Unlock()
			if time.Since(p.last[i].At) >= peerKept {
				p.last[i] = p.ask(ctx, peer)
			}
			out[i] = p.last[i]
		})
	}
	asking.Wait()
	if !slices.ContainsFunc(out, func(e environment) bool { return e.Name == own.Name }) {
		out = append(out, own)
	}
	return out
}

func (p *peers) ask(ctx context.Context, peer Peer) environment {
	out := environment{Name: peer.Name, URL: peer.URL, At: time.Now()}
	services, err := p.services(ctx, peer)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.services = byName(services.Services)
	if services.Environment != peer.Name {
		out.Error = fmt.Sprintf("it is the controller of %q", services.Environment)
		out.services = nil
	}
	return out
}

func (p *peers) services(ctx context.Context, peer Peer) (Services, error) {
	// Whoever looks may be gone before the answer is there; it serves whoever looks next.
	r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, peer.URL+"/api/v1/services", nil)
	if err != nil {
		return Services{}, fmt.Errorf("ask: %w", err)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return Services{}, fmt.Errorf("ask: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if to, err := answer.Location(); err == nil && answer.StatusCode >= 300 && answer.StatusCode < 400 {
		return Services{}, fmt.Errorf("it sends on to %s; name an address at which its controller answers without a login", to.Host)
	}
	if answer.StatusCode != http.StatusOK {
		return Services{}, fmt.Errorf("it answers %s", answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, peerBytesMax+1))
	if err != nil {
		return Services{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > peerBytesMax {
		return Services{}, errors.New("the answer is too large")
	}
	var out Services
	if err := json.Unmarshal(body, &out); err != nil {
		return Services{}, fmt.Errorf("the answer is not a controller's: %w", err)
	}
	return out, nil
}

func byName(list []condition.Status) map[string]condition.Status {
	out := make(map[string]condition.Status, len(list))
	for _, s := range list {
		out[s.Service] = s
	}
	return out
}

type environmentsPage struct {
	frame
	Environments []environment
	Ways         []way
}

// way is how far one service's newest change has come: the version that the first environment which has the service asks for.
type way struct {
	Service string
	Change  condition.Version
	Asks    string   // the environment that asks for the change
	Silent  []string // those before it that do not tell what they ask for
	Steps   []step
}

// step is one environment on the way.
type step struct {
	URL    string // of the service's page there
	Mark   string // runs it, asks for it, has another, has it not, unknown
	Status condition.Status
}

// The marks of a step.
const (
	stepRuns    = "runs it"
	stepAsks    = "asks for it"
	stepOther   = "not asked yet"
	stepLacks   = "no such service"
	stepUnknown = "not known"
)

func (s *server) environmentsPage(w http.ResponseWriter, r *http.Request) {
	snap := s.Board.Snapshot()
	own := environment{Name: snap.Environment, At: snap.At, services: make(map[string]condition.Status, len(snap.Services))}
	for _, v := range snap.Services {
		own.services[v.Status.Service] = v.Status
	}
	page := environmentsPage{frame: s.frame(snap, "environments"), Environments: s.peers.all(r.Context(), own)}
	page.Query = r.URL.Query().Get("q")
	page.Ways = ways(page.Environments, page.Query)
	renderLong(w, page.html())
}

// ways are the ways of all services that match the query in some environment, in order of name.
func ways(environments []environment, query string) []way {
	found := map[string]bool{}
	for _, e := range environments {
		for name, status := range e.services {
			if matches(status, query) {
				found[name] = true
			}
		}
	}
	var out []way
	for name := range found {
		out = append(out, wayOf(name, environments))
	}
	slices.SortFunc(out, func(a, b way) int { return strings.Compare(a.Service, b.Service) })
	return out
}

func wayOf(name string, environments []environment) way {
	w := way{Service: name}
	for _, e := range environments {
		status, known := e.services[name]
		at := step{URL: e.URL + servicePath(name), Status: status, Mark: stepOther}
		switch {
		case w.Asks != "":
		case known:
			w.Change, w.Asks = status.Wanted, e.Name
		case e.Error != "":
			w.Silent = append(w.Silent, e.Name)
		}
		switch {
		case e.Error != "":
			at.Mark = stepUnknown
		case !known:
			at.Mark = stepLacks
		case slices.Equal(status.Running.Images, w.Change.Images):
			at.Mark = stepRuns
		case slices.Equal(status.Wanted.Images, w.Change.Images):
			at.Mark = stepAsks
		}
		w.Steps = append(w.Steps, at)
	}
	return w
}
