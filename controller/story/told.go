package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/notify"
	"github.com/canteen/deploy/controller/trace"
)

// What follows is about those who are told: a webhook, Slack's Web API and a collector of traces, on the wire of the bubble.

// notifyFile tells two receivers everything.
const notifyFile = `apiVersion: deploy/v1
kind: Notifications
page: https://deploy.example
receivers:
  audit: {webhook: {url: {secretsManager: "arn:aws:secretsmanager:eu-central-1:000000000000:secret:audit#url"}, secret: {secretsManager: "arn:aws:secretsmanager:eu-central-1:000000000000:secret:audit#key"}}}
  ops: {slack: {channel: C0123456789, api: "https://slack.example/api", token: {secretsManager: "arn:aws:secretsmanager:eu-central-1:000000000000:secret:slack#token"}}}
routes:
- {receiver: audit}
- {receiver: ops}
`

// toldSecrets are the values of both secrets.
const (
	toldKey     = "the-key-of-signatures"
	toldSecrets = `{"url": "https://hook.example/told", "key": "` + toldKey + `", "token": "xoxb-1"}`
)

// The receivers of notifyFile.
const (
	hookReceiver  = "audit"
	slackReceiver = "ops"
)

// The latencies on the way to those who are told, odd and each its own: both receivers are told of the same save.
var toldLatency = map[string]time.Duration{
	"hook.example": 1*time.Millisecond + 131*time.Microsecond, "slack.example": 2*time.Millisecond + 173*time.Microsecond, "collector.example": 611 * time.Microsecond,
}

// ears are all who are told.
type ears struct {
	journal *journal

	mu      sync.Mutex
	trouble map[string]string // by host: "away", or "deaf", which takes what comes and loses the answer
	heard   []heard
	traces  traces
}

// heard is one message that a receiver has taken.
type heard struct {
	at       time.Time
	receiver string
	key      string
	message  notify.Message // of the webhook alone
	ts       string         // of Slack alone, and the thread that it was posted into
	thread   string
	unsure   bool  // whoever sent it was not told that it was taken
	by       *gate // of the life that sent it: one that died may have had no time to keep that it was taken
}

// word is the event of a message, as its key has it.
func (h heard) word() string {
	word := h.key[strings.LastIndexByte(h.key, '/')+1:]
	word, _, _ = strings.Cut(word, "-")
	return word
}

// service is whom the message is about, empty where it is the environment.
func (h heard) service() string { return strings.Split(h.key, "/")[1] }

// tellers are what tells in one life: nobody is told where the story does not speak of it.
func (w *World) tellers(g *gate, clock func() time.Time, registry *prometheus.Registry, log *zap.Logger) (n *notify.Notifier, t *trace.Tracer, err error) {
	if w.opts.Told {
		c, errs := notify.Parse("notify.yaml", []byte(notifyFile))
		if len(errs) > 0 {
			return nil, nil, errs[0]
		}
		n = notify.New(notify.Options{Environment: "dev", Config: c, Transport: mouth{g, w.ears}, Clock: clock, Registry: registry, Log: log,
			Secrets: func(context.Context, string) (string, error) { return toldSecrets, nil }})
	}
	if w.opts.Traced {
		t, err = trace.New(context.Background(), trace.Options{URL: "http://collector.example/v1/traces", Place: trace.Place{Environment: "dev"}, Version: "story",
			Client: &http.Client{Transport: mouth{g, w.ears}}, Registry: registry, Log: log})
	}
	return n, t, err
}

func newEars(j *journal) *ears { return &ears{journal: j, trouble: map[string]string{}} }

// mouth is the way from one life of the controller to those who are told.
type mouth struct {
	gate *gate
	ears *ears
}

// RoundTrip implements http.RoundTripper.
func (m mouth) RoundTrip(r *http.Request) (*http.Response, error) {
	name, err := operation(r)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(m.gate.pass(r, name), pause(r.Context(), toldLatency[r.URL.Host])); err != nil {
		return nil, err
	}
	if m.gate.closed() {
		return nil, errKilled{}
	}
	k, over := m.gate.meter.step(false, name)
	if k != nil && !k.After {
		m.gate.close()
		return nil, errKilled{}
	}
	res, err := m.ears.take(r, m.gate, k != nil)
	over()
	if k != nil {
		m.gate.close()
		return nil, errKilled{}
	}
	if wait := errors.Join(pause(r.Context(), latencyBack), m.gate.pass(r, "")); wait != nil && err == nil {
		err = wait
	}
	return res, err
}

// errAway is what whoever tells hears of somebody who is away.
var errAway = errors.New("connection refused")

// take is one request; lost says that nobody will hear the answer.
func (e *ears) take(r *http.Request, by *gate, lost bool) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	trouble := e.trouble[r.URL.Host]
	if trouble == "away" {
		return nil, errAway
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	out := httptest.NewRecorder()
	switch r.URL.Host {
	case "hook.example":
		e.hook(out, r, body, heard{by: by, unsure: lost || trouble != ""})
	case "slack.example":
		e.slack(out, r, body, heard{by: by, unsure: lost || trouble != ""})
	case "collector.example":
		e.traces.take(out, r, body)
	default:
		out.WriteHeader(http.StatusNotFound)
	}
	if trouble == "deaf" && out.Code == http.StatusOK {
		return nil, io.ErrUnexpectedEOF
	}
	return out.Result(), nil
}

func (e *ears) hook(w http.ResponseWriter, r *http.Request, body []byte, h heard) {
	var m notify.Message
	err := json.Unmarshal(body, &m)
	if err != nil || r.Header.Get(notify.HeaderSignature) != notify.Sign(toldKey, r.Header.Get(notify.HeaderTimestamp), body) || m.Key != r.Header.Get(notify.HeaderKey) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.receiver, h.key, h.message = hookReceiver, m.Key, m
	e.hear(h)
}

func (e *ears) hear(h heard) {
	h.at = time.Now()
	e.heard = append(e.heard, h)
	e.journal.add("told", "%s: %s", h.receiver, h.key)
}

// slack is as much of the Web API as the controller calls: https://docs.slack.dev/reference/methods
func (e *ears) slack(w http.ResponseWriter, r *http.Request, body []byte, h heard) {
	if r.Header.Get("Authorization") != "Bearer xoxb-1" {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	method, _ := operation(r)
	if method == "chat.postMessage" {
		var m struct {
			Thread   string `json:"thread_ts"`
			Metadata struct {
				Payload struct {
					Key string `json:"key"`
				} `json:"event_payload"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(body, &m); err != nil || m.Metadata.Payload.Key == "" {
			fmt.Fprint(w, `{"ok":false,"error":"invalid_arguments"}`)
			return
		}
		h.receiver, h.key, h.thread = slackReceiver, m.Metadata.Payload.Key, m.Thread
		h.ts = fmt.Sprintf("%d.%06d", time.Now().Unix(), len(e.heard))
		e.hear(h)
		fmt.Fprintf(w, `{"ok":true,"ts":%q}`, h.ts)
		return
	}
	var found []string
	for _, h := range e.heard {
		if h.receiver == slackReceiver && (method == "conversations.replies") == (h.thread != "") {
			found = append(found, fmt.Sprintf(`{"ts":%q,"metadata":{"event_type":"deploy_notification","event_payload":{"key":%q}}}`, h.ts, h.key))
		}
	}
	fmt.Fprintf(w, `{"ok":true,"messages":[%s]}`, strings.Join(found, ","))
}

// heardBy are the messages of one receiver in effect, oldest first: of those with the same key the first.
func (e *ears) heardBy(receiver string) []heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []heard
	seen := map[string]bool{}
	for _, h := range e.heard {
		if h.receiver == receiver && !seen[h.key] {
			seen[h.key] = true
			out = append(out, h)
		}
	}
	return out
}

// words are what a receiver was told of a service, the environment's where it is empty.
func (e *ears) words(receiver, service string) []string {
	out := []string{}
	for _, h := range e.heardBy(receiver) {
		if h.service() == service {
			out = append(out, h.word())
		}
	}
	return out
}

// expectTold waits until both receivers were told exactly that of a service, in that order.
func (t *Telling) expectTold(service, list string) error {
	want := []string{}
	if list != "nothing" {
		want = strings.Split(list, ", ")
	}
	return t.Await(defaultLimit, func() error {
		for _, receiver := range []string{hookReceiver, slackReceiver} {
			if got := t.ears.words(receiver, service); !slices.Equal(got, want) {
				return fmt.Errorf("%s was told of %q %s, want %s", receiver, service, strings.Join(got, ", "), strings.Join(want, ", "))
			}
		}
		return nil
	})
}

// toldWell holds what is true of all messages of a story: one comes again only where nobody knows that it was taken, and in Slack not even then;
// a service's rollouts are told in their order; and in Slack what is of one thread stands in one.
func (w *World) toldWell() error {
	var err error
	wrong := func(format string, a ...any) { err = errors.Join(err, fmt.Errorf(format, a...)) }
	w.ears.mu.Lock()
	all := slices.Clone(w.ears.heard)
	w.ears.mu.Unlock()
	taken, newest, threads, posts := map[string]heard{}, map[string]int{}, map[string]string{}, map[string]string{}
	for _, h := range all {
		if h.receiver == hookReceiver {
			threads[h.key] = h.message.Thread
		}
	}
	for _, h := range all {
		name := h.receiver + " " + h.key
		before, again := taken[name]
		taken[name] = h
		switch {
		case again && h.receiver == slackReceiver:
			wrong("%s stands in Slack twice", h.key)
		case again && !before.unsure && before.by == h.by:
			wrong("%s came again although it was known to be taken", h.key)
		}
		var number int
		if n, _ := fmt.Sscanf(strings.Split(h.key, "/")[2], "%d-", &number); n == 1 && !again {
			of := h.receiver + " " + h.service()
			if number < newest[of] {
				wrong("%s was told of rollout %d after %d", h.receiver, number, newest[of])
			}
			newest[of] = number
		}
		if thread, known := threads[h.key]; known && h.receiver == slackReceiver {
			post, begun := posts[thread]
			if begun && h.thread != post {
				wrong("%s stands in thread %q of Slack, want %q", h.key, h.thread, post)
			}
			if !begun {
				posts[thread] = h.ts
			}
		}
	}
	return err
}

func toldVerbs() []verb {
	hosts := map[string][]string{"the receivers": {"hook.example", "slack.example"}, "the collector": {"collector.example"}}
	troubles := map[string]string{"goes away": "away", "go away": "away", "lose their answers": "deaf", "come back": "", "comes back": ""}
	return forms(map[string]func(*Telling, []string) error{
		`(the receivers|the collector) (goe?s? away|comes? back|lose their answers)`: func(t *Telling, a []string) error {
			t.ears.mu.Lock()
			defer t.ears.mu.Unlock()
			for _, host := range hosts[a[0]] {
				t.ears.trouble[host] = troubles[a[1]]
			}
			t.journal.add("told", "%s %s", a[0], a[1])
			return nil
		},
		`expect (?:(\w+) )?told: (.+)`:          func(t *Telling, a []string) error { return t.expectTold(or(a[0]), a[1]) },
		`expect to be told of everything: (.+)`: func(t *Telling, a []string) error { return t.expectTold("", a[0]) },
		`expect traces: (.+)`:                   func(t *Telling, a []string) error { return t.expectTraces(a[0]) },
	})
}
