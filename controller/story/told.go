package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

// givenTold reads the lines about who is told.
func (s *Story) givenTold(text string) bool {
	switch text {
	case "given receivers of messages":
		s.Options.Told = true
	case "given a collector of traces":
		s.Options.Traced = true
	default:
		return false
	}
	return true
}

// expectTold waits until the receivers, both where none is named, were told exactly that of a service, in that order.
func (t *Telling) expectTold(service, list string, receivers ...string) error {
	if len(receivers) == 0 {
		receivers = []string{hookReceiver, slackReceiver}
	}
	want := []string{}
	if list != "nothing" {
		want = strings.Split(list, ", ")
	}
	return t.Await(defaultLimit, func() error {
		for _, receiver := range receivers {
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
	hosts := map[string][]string{"the receivers": {"hook.example", "slack.example"}, "the webhook": {"hook.example"}, "the collector": {"collector.example"}}
	troubles := map[string]string{"goes away": "away", "go away": "away", "lose their answers": "deaf", "come back": "", "comes back": "",
		"are busy": "busy", "is busy": "busy", "hangs": "hangs"}
	return forms(map[string]func(*Telling, []string) error{
		`(the receivers|the webhook|the collector) (hangs|goe?s? away|comes? back|lose their answers|(?:is|are) busy)`: func(t *Telling, a []string) error {
			t.ears.mu.Lock()
			defer t.ears.mu.Unlock()
			for _, host := range hosts[a[0]] {
				t.ears.trouble[host] = troubles[a[1]]
			}
			t.journal.add("told", "%s %s", a[0], a[1])
			return nil
		},
		`expect (?:(\w+) )?told: (.+)`:          func(t *Telling, a []string) error { return t.expectTold(or(a[0]), a[1]) },
		`expect (?:(\w+) )?told in Slack: (.+)`: func(t *Telling, a []string) error { return t.expectTold(or(a[0]), a[1], slackReceiver) },
		`expect to be told of everything: (.+)`: func(t *Telling, a []string) error { return t.expectTold("", a[0]) },
		`expect traces: (.+)`:                   func(t *Telling, a []string) error { return t.expectTraces(a[0]) },
	})
}
