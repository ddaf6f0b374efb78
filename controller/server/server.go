// Package server shows what the controller does: a read-only page, a JSON API, server-sent events, metrics, health, and the
// webhook that wakes. Nothing on it changes the account: git does. README.md describes the API.
package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// The bounds of what one client may cost.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	// idleTimeout is longer than a load balancer keeps an idle connection (ALB: 60 s), so that it is the one to close it and never
	// sends a request into a connection that was just closed here.
	idleTimeout     = 75 * time.Second
	shutdownTimeout = 2 * time.Second
	headerBytesMax  = 32 << 10
	scrapesMax      = 4
	streamsMax      = 64
	// connectionsMax leaves the controller itself, with its ledger and its calls, enough of the files that a process may open,
	// and bounds what connections cost to some tens of MiB.
	connectionsMax = 2000
)

// Config is what a server shows and whom it asks.
type Config struct {
	Board    *status.Board
	Gatherer prometheus.Gatherer // of all metrics but those of the Board's services
	// History returns up to limit finished rollouts of a service, newest first; none for a service that it does not know.
	History func(ctx context.Context, service string, limit int) ([]rollout.Entry, error)
	// Recent returns up to limit finished rollouts of all services, newest first; their evidence is not needed.
	Recent func(ctx context.Context, limit int) ([]rollout.Entry, error)
	// Look returns what the account shows of a service now, its tasks and targets included. Nil where nobody may look; it is asked
	// for whoever opens the page of a service that is settled, seldom enough that no rollout waits for it.
	Look func(ctx context.Context, service string) (status.Observed, error)
	// WebhookSecret signs GitHub's deliveries. Without one there is no webhook.
	WebhookSecret string
	// Wake asks for a look at git now. It is called by requests and must not wait.
	Wake func()
	// Ready returns why the controller is not ready; nothing when it is.
	Ready func() []string
	// Environment returns the newest valid environment, nil before one was read.
	Environment func() *desired.Environment
	// Peers are the controllers of other environments, in the order of a change's way.
	Peers []Peer
	// Version is shown on the page.
	Version string
}

type server struct {
	Config
	streams chan struct{} // holds one value for each open event stream
	scrapes chan struct{} // and for each scrape
	api     gathered
	before  remembered
	looks   *looks
	peers   *peers
}

// New returns the handler of everything. It may be served by several listeners.
func New(c Config) http.Handler {
	s := &server{
		Config: c, streams: make(chan struct{}, streamsMax), scrapes: make(chan struct{}, scrapesMax), looks: newLooks(c.Look),
		peers: newPeers(c.Peers),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", s.scrape)
	mux.HandleFunc("/healthz", s.alive)
	mux.HandleFunc("/readyz", s.ready)
	mux.HandleFunc("/api/v1/services", s.listServices)
	mux.HandleFunc("/api/v1/services/{name}", s.getService)
	mux.HandleFunc("/api/v1/services/{name}/history", s.getHistory)
	mux.HandleFunc("/api/v1/records", s.listRecords)
	mux.HandleFunc("/api/v1/events", s.streamEvents)
	mux.HandleFunc("/api/v1/activity", s.listActivity)
	mux.HandleFunc("/api/v1/activity.csv", s.listActivityCSV)
	mux.HandleFunc("/webhook/github", s.github)
	mux.Handle("/static/", assets())
	mux.HandleFunc("/{$}", s.indexPage)
	mux.HandleFunc("/activity", s.activityPage)
	mux.HandleFunc("/controller", s.controllerPage)
	mux.HandleFunc("/environments", s.environmentsPage)
	mux.HandleFunc("/services/{name}", s.servicePage)
	mux.HandleFunc("/services/{name}/badge.svg", s.badge)
	mux.HandleFunc("/services/{name}/rollouts/{number}", s.rolloutPage)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, fmt.Sprintf("nothing is at %s; the page is at / and the API at /api/v1/services", r.URL.Path))
	})
	return secure(readOnly(mux))
}

// Serve answers on the listener until ctx ends, then lets open requests finish for at most 2 s and returns nil. Requests
// see ctx, so that event streams end with it.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		// Shutdown also waits for connections that browsers opened ahead of need and never used. Nothing here changes
		// anything, so that whoever is still there when time is up loses nothing but an answer.
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	if err := srv.Serve(newCrowd(l, connectionsMax)); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	<-ended
	return nil
}

// readOnly refuses every method that could be meant to change something, everywhere but at the webhook.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.URL.Path != "/webhook/github" {
			w.Header().Set("Allow", "GET, HEAD")
			problem(w, http.StatusMethodNotAllowed, "everything here is read-only; to change something, commit it to git")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// contentPolicy allows the page its own style sheet, which is known by its hash, script, icon, requests and search form, and nothing else.
var contentPolicy = "default-src 'none'; style-src '" + hashSource(styleSheet) + "'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// hashSource names an inline text in a policy.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// alive says that the process answers; it knows nothing of the loop, so that a slow account never restarts the controller.
func (s *server) alive(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, map[string]bool{"alive": true})
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"`
}

func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	if reasons := s.Ready(); len(reasons) > 0 {
		respond(w, http.StatusServiceUnavailable, Readiness{Reasons: reasons})
		return
	}
	respond(w, http.StatusOK, Readiness{Ready: true})
}
