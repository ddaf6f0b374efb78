package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// One page shows how far each change has come through all environments, with a peer that is away told as such.
func TestEnvironments(t *testing.T) {
	dev, prod := newHouse(t), newHouse(t) // the house's environment is dev
	version := func(tag string) condition.Version { return condition.Version{Images: []string{"app:" + tag}} }
	dev.board.Publish(status.View{Record: rollout.Record{Service: "menu"}, Status: condition.Status{Phase: condition.PhaseHealthy, Wanted: version("2"), Running: version("2")}})
	var asked atomic.Int64 // two peers are this one, and are asked at the same time
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); dev.ServeHTTP(w, r) }))
	defer peer.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler(peer.URL, http.StatusFound))
	defer elsewhere.Close()

	prod.board = status.New(prometheus.NewRegistry(), "prod", status.Build{}, zaptest.NewLogger(t))
	prod.board.Publish(status.View{Record: rollout.Record{Service: "menu"}, Status: condition.Status{Phase: condition.PhaseVerifying, Wanted: version("2"), Running: version("1")}})
	prod.config.Board = prod.board
	prod.config.Peers = []server.Peer{{Name: "dev", URL: peer.URL}, {Name: "staging", URL: gone.URL}, {Name: "test", URL: elsewhere.URL}, {Name: "stage", URL: peer.URL}}
	prod.Handler = server.New(prod.config)
	doc := parsed(t, prod, "/environments?q=menu")
	page := text(doc)
	for _, want := range []string{"staging does not tell", "test does not tell: it sends on to " + strings.TrimPrefix(peer.URL, "http://") + "; name an address", `stage does not tell: it is the controller of "dev"`, "menu 2 runs it ✔ Healthy", "not known not known not known asks for it ▶ Verifying 1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if strings.Contains(text(elements(doc, "tbody")[0]), "orders") {
		t.Error("the filter leaves orders")
	}
	before := asked.Load()
	if parsed(t, prod, "/environments"); asked.Load() != before {
		t.Errorf("the peer was asked again at once")
	}
	// What is no web address is no link, whoever configured it.
	prod.config.Peers = []server.Peer{{Name: "dev", URL: "javascript:alert(1)//"}}
	prod.Handler = server.New(prod.config)
	doc = parsed(t, prod, "/environments")
	if heads := elements(elements(doc, "thead")[0], "th"); text(heads[2]) != "dev" || len(elements(elements(doc, "thead")[0], "a")) != 0 {
		t.Errorf("the heads are %q, with %d links", text(elements(doc, "thead")[0]), len(elements(elements(doc, "thead")[0], "a")))
	}
	if w := dev.get("/environments"); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "does not tell") {
		t.Errorf("without peers: %d", w.Code)
	}
}

// Where the first environment does not tell what it asks for, the next one's ask is not passed off as its own.
func TestChangeOfAnEnvironmentThatDoesNotTell(t *testing.T) {
	version := func(tag string) condition.Version { return condition.Version{Images: []string{"app:" + tag}} }
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	qa := newHouse(t)
	qa.board = status.New(prometheus.NewRegistry(), "qa", status.Build{}, zaptest.NewLogger(t))
	qa.board.Publish(status.View{Record: rollout.Record{Service: "menu"}, Status: condition.Status{Phase: condition.PhaseHealthy, Wanted: version("2"), Running: version("2")}})
	qa.config.Board = qa.board
	for _, tt := range []struct {
		name  string
		peers []server.Peer
		want  string
	}{
		{"the first does not tell", []server.Peer{{Name: "dev", URL: gone.URL}, {Name: "qa", URL: gone.URL}}, "menu 2 what qa asks for; dev does not tell"},
		{"the first two do not tell", []server.Peer{{Name: "dev", URL: gone.URL}, {Name: "test", URL: gone.URL}}, "menu 2 what qa asks for; dev and test do not tell"},
		{"a later one does not tell", []server.Peer{{Name: "qa", URL: gone.URL}, {Name: "prod", URL: gone.URL}}, "menu 2 runs it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			qa.config.Peers = tt.peers
			qa.Handler = server.New(qa.config)
			doc := parsed(t, qa, "/environments")
			if got := text(elements(doc, "tbody")[0]); !strings.HasPrefix(got, tt.want) {
				t.Errorf("the row is %q, want %q", got, tt.want)
			}
		})
	}
	if got := text(elements(parsed(t, qa, "/environments"), "caption")[0]); !strings.Contains(got, "the first environment that has the service") {
		t.Errorf("the caption is %q", got)
	}
}

func TestParsePeer(t *testing.T) {
	if p, err := server.ParsePeer("dev=https://deploy.dev.example/"); err != nil || p != (server.Peer{Name: "dev", URL: "https://deploy.dev.example"}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "dev", "=https://x", "dev=x", "dev=ftp://x", "dev=https://u:p@x", "dev=https://x?y", "dev=javascript:alert(1)"} {
		if p, err := server.ParsePeer(bad); err == nil {
			t.Errorf("%q is %+v", bad, p)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}
