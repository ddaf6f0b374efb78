package story

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/notify"
)

// The latencies on the way to those who are told, odd and each its own: both receivers are told of the same save.
var toldLatency = map[string]time.Duration{
	"hook.example": 1*time.Millisecond + 131*time.Microsecond, "slack.example": 2*time.Millisecond + 173*time.Microsecond, "collector.example": 611 * time.Microsecond,
}

// ears are all who are told.
type ears struct {
	journal *journal

	mu      sync.Mutex
	trouble map[string]string // by host: "away", "busy", "hangs", or "deaf", which takes what comes and loses the answer
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
	var res *http.Response
	if err = m.ears.hang(r); err == nil {
		res, err = m.ears.take(r, m.gate, k != nil)
	}
	over()
	if k != nil {
		m.gate.close()
		return nil, errKilled{}
	}
	if wait := errors.Join(pause(r.Context(), latencyBack), m.gate.pass(r, "")); err == nil {
		err = wait
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// hang waits where whoever is told gives no answer, for as long as anybody waits for one. Its error says that nobody does any more: what
// comes then is not taken, even where the trouble is over.
func (e *ears) hang(r *http.Request) error {
	e.mu.Lock()
	hangs := e.trouble[r.URL.Host] == "hangs"
	e.mu.Unlock()
	if !hangs {
		return nil
	}
	<-r.Context().Done()
	return r.Context().Err()
}

// errAway is what whoever tells hears of somebody who is away.
var errAway = errors.New("connection refused")

// take is one request; lost says that nobody will hear the answer.
func (e *ears) take(r *http.Request, by *gate, lost bool) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	trouble := e.trouble[r.URL.Host]
	if trouble == "away" || trouble == "hangs" { // since a moment ago
		return nil, errAway
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	out := httptest.NewRecorder()
	if trouble == "busy" {
		out.Header().Set("Retry-After", "7")
		out.WriteHeader(http.StatusServiceUnavailable)
		return out.Result(), nil
	}
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
