package notify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// A message whose answer was lost is found by its key and not posted twice; a reply stands in its thread.
func TestSlackFindsWhatWasPosted(t *testing.T) {
	var posted []slackBody
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer xoxb-1" {
			fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
			return
		}
		if r.URL.Path == "/chat.postMessage" {
			var b slackBody
			if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
				t.Error(err)
			}
			posted = append(posted, b)
			fmt.Fprintf(w, `{"ok":true,"ts":"%d.0"}`, len(posted))
			return
		}
		out := slackAnswer{OK: true}
		for i, b := range posted {
			if (r.URL.Path == "/conversations.replies") == (b.Thread != "") {
				out.Messages = append(out.Messages, struct {
					TS       string        `json:"ts"`
					Metadata slackMetadata `json:"metadata"`
				}{fmt.Sprintf("%d.0", i+1), *b.Metadata})
			}
		}
		_, _ = w.Write(marshal(out))
	}))
	defer server.Close()
	t.Setenv("SLACK", "xoxb-1")
	c := &Config{Receivers: map[string]Receiver{"ops": {Slack: &SlackSpec{Channel: "C0123456", Token: Reference{Env: "SLACK"}, API: server.URL}}}}
	to := newReceiver("ops", Options{Config: c, Transport: http.DefaultTransport, Log: zap.NewNop()})
	for _, p := range []post{{Message: Message{Key: "a"}}, {Message: Message{Key: "a"}, doubt: true}, {Message: Message{Key: "b"}, thread: "1.0", doubt: true}, {Message: Message{Key: "b"}, thread: "1.0", doubt: true}} {
		want := map[string]string{"a": "1.0", "b": "2.0"}[p.Key]
		if ts, err := to.take(t.Context(), p); ts != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", p.Key, ts, err, want)
		}
	}
	if len(posted) != 2 || posted[1].Thread != "1.0" {
		t.Errorf("%d messages were posted: %+v", len(posted), posted)
	}
	t.Setenv("SLACK", "xoxb-2")
	if _, err := to.take(t.Context(), post{Message: Message{Key: "c"}}); err == nil || troubleOf(err).what != mend {
		t.Errorf("a wrong token: %v", err)
	}
}

// What names, subjects and reasons hold is shown as it is, whatever it means in Slack's markup.
func TestSlackReadsNoMarkup(t *testing.T) {
	const hostile = "`a_b_c` ~x~ .*fatal.* orders.yaml:100:5: no"
	m := Message{Event: Blocked, Summary: hostile, Why: hostile, Next: hostile, Environment: hostile, Services: []string{hostile}, Count: 1, Evidence: "https://deploy.example/*a*|b"}
	body := slackMessage(m)
	if body.Markup {
		t.Error("the text beside the blocks is read as markup")
	}
	shown, links := 0, 0
	see := func(text slackText) {
		switch {
		case text.Type == "plain_text" && text.Emoji != nil && !*text.Emoji && strings.Contains(text.Text, hostile):
			shown++
		case text.Type == "mrkdwn" && text.Verbatim && text.Text == "<https://deploy.example/*a*%7Cb|evidence>":
			links++
		default:
			t.Errorf("%+v", text)
		}
	}
	for _, b := range body.Blocks {
		if b.Text != nil {
			see(*b.Text)
		}
		for _, e := range b.Elements {
			see(e)
		}
	}
	if shown != 5 || links != 1 {
		t.Errorf("%d texts and %d links are shown, want 5 and 1", shown, links)
	}
}
