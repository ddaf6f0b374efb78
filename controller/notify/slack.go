package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// slackWebhook posts to an incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
type slackWebhook struct {
	spec   SlackWebhookSpec
	vault  *vault
	client *http.Client
}

func (s slackWebhook) take(ctx context.Context, p post) (string, error) {
	address, err := s.vault.get(ctx, s.spec.URL)
	if err != nil {
		return "", &trouble{what: mend, err: err}
	}
	_, err = exchange(ctx, s.client, address, "application/json", nil, marshal(slackMessage(p.Message)))
	if err != nil && troubleOf(err).what == mend {
		s.vault.forget(s.spec.URL)
	}
	return "", err
}

// slackAPI posts by the Web API: https://docs.slack.dev/reference/methods/chat.postMessage
type slackAPI struct {
	spec   SlackSpec
	vault  *vault
	client *http.Client
	blind  func() // called where the token may not read what was posted
}

// slackThread are the answers that say that a thread is gone; the message stands alone then.
var slackThread = []string{"thread_not_found", "invalid_thread_ts", "cannot_reply_to_message", "message_not_found"}

func (s slackAPI) take(ctx context.Context, p post) (string, error) {
	token, err := s.vault.get(ctx, s.spec.Token)
	if err != nil {
		return "", &trouble{what: mend, err: err}
	}
	if p.doubt {
		ts, err := s.find(ctx, token, p)
		if ts != "" || err != nil {
			return ts, err
		}
	}
	body := slackMessage(p.Message)
	body.Channel, body.Thread = s.spec.Channel, p.thread
	body.Broadcast = p.thread != "" && p.Severity != Info
	body.Metadata = &slackMetadata{Type: metadataType, Payload: slackPayload{Key: p.Key}}
	out, err := s.call(ctx, token, "chat.postMessage", "application/json; charset=utf-8", marshal(body))
	if slices.Contains(slackThread, out.Error) && p.thread != "" {
		p.thread, p.doubt = "", false
		return s.take(ctx, p)
	}
	return out.TS, err
}

type slackAnswer struct {
	OK       bool   `json:"ok"`
	Error    string `json:"error"`
	TS       string `json:"ts"`
	Messages []struct {
		TS       string        `json:"ts"`
		Metadata slackMetadata `json:"metadata"`
	} `json:"messages"`
	More bool `json:"has_more"`
	Next struct {
		Cursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

// call asks one method of the Web API. What it answers with status 200 may be a refusal too.
func (s slackAPI) call(ctx context.Context, token, method, contentType string, body []byte) (slackAnswer, error) {
	api := strings.TrimSuffix(s.spec.API, "/")
	if api == "" {
		api = DefaultSlackAPI
	}
	b, err := exchange(ctx, s.client, api+"/"+method, contentType, map[string]string{"Authorization": "Bearer " + token}, body)
	var out slackAnswer
	if err != nil {
		return out, s.refuse(troubleOf(err))
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, &trouble{what: later, unsure: true, err: errors.New("its answer is not JSON")}
	}
	if out.OK {
		return out, nil
	}
	t := &trouble{what: mend, err: fmt.Errorf("Slack refuses %s: %q", method, clip(plain(out.Error), subjectMax))}
	switch out.Error {
	case "ratelimited", "rate_limited", "message_limit_exceeded", "service_unavailable", "request_timeout", "team_added_to_org":
		t.what = later
	case "internal_error", "fatal_error":
		t.what, t.unsure = later, true
	case "msg_too_long", "msg_blocks_too_long", "no_text", "invalid_blocks", "invalid_blocks_format", "invalid_metadata_format", "invalid_arguments",
		"markdown_text_conflict", "metadata_too_large":
		t.what = refused
	}
	return out, s.refuse(t)
}

func (s slackAPI) refuse(t *trouble) error {
	if t.what == mend {
		s.vault.forget(s.spec.Token)
	}
	return t
}

// What a message carries so that it is found again.
const metadataType = "deploy_notification"

// The bounds of looking for a message that may have been posted: pages, and how far the two clocks may be apart.
const (
	findPages = 5
	findSkew  = 10 * time.Minute
)

// find looks whether a message was posted already: in its thread, or in the channel since it became true. It answers "" where it
// was not, or where the token may not read, which is told once and means that the message is posted again.
func (s slackAPI) find(ctx context.Context, token string, p post) (string, error) {
	method, ask := "conversations.history", url.Values{"channel": {s.spec.Channel}, "limit": {"200"}, "include_all_metadata": {"true"}}
	if p.thread != "" {
		method = "conversations.replies"
		ask.Set("ts", p.thread)
	}
	// How long a file is invalid is known of this tenure alone; another one may have told it long before.
	if !p.At.IsZero() && p.Event != Invalid {
		ask.Set("oldest", fmt.Sprintf("%d.000000", p.At.Add(-findSkew).Unix()))
	}
	for range findPages {
		out, err := s.call(ctx, token, method, "application/x-www-form-urlencoded", []byte(ask.Encode()))
		switch {
		case out.Error == "missing_scope" || out.Error == "not_allowed_token_type" || out.Error == "no_permission":
			s.blind()
			return "", nil
		case slices.Contains(slackThread, out.Error):
			return "", nil
		case err != nil:
			t := troubleOf(err)
			t.unsure = true // of the message that is looked for
			return "", t
		}
		for _, m := range out.Messages {
			if m.Metadata.Type == metadataType && m.Metadata.Payload.Key == p.Key {
				return m.TS, nil
			}
		}
		if !out.More || out.Next.Cursor == "" {
			break
		}
		ask.Set("cursor", out.Next.Cursor)
	}
	return "", nil
}

type slackMetadata struct {
	Type    string       `json:"event_type"`
	Payload slackPayload `json:"event_payload"`
}

type slackPayload struct {
	Key string `json:"key"`
}

type slackBody struct {
	Channel   string         `json:"channel,omitempty"`
	Thread    string         `json:"thread_ts,omitempty"`
	Broadcast bool           `json:"reply_broadcast,omitempty"`
	Text      string         `json:"text"` // for notifications, and for whoever shows no blocks
	Markup    bool           `json:"mrkdwn"`
	Blocks    []slackBlock   `json:"blocks"`
	Unfurl    bool           `json:"unfurl_links"`
	Media     bool           `json:"unfurl_media"`
	Metadata  *slackMetadata `json:"metadata,omitempty"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

// slackText is text as it is: Slack makes nothing bold, no picture of :100:, and no links, names or channels of what stands in it.
type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Emoji    *bool  `json:"emoji,omitempty"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

func plainText(s string) slackText { return slackText{Type: "plain_text", Text: s, Emoji: new(bool)} }

// slackLink has an address and words of our own alone, since it is read as markup.
func slackLink(address, words string) slackText {
	address = strings.ReplaceAll(escape(address), "|", "%7C")
	return slackText{Type: "mrkdwn", Text: "<" + address + "|" + words + ">", Verbatim: true}
}

// slackGlyphs mark an event without relying on colour.
var slackGlyphs = map[Event]string{
	Begun: "▶", Good: "✔", Rejected: "✖", Superseded: "⏭", Reverting: "↩", Reverted: "↩", RevertFailed: "✖", Restoring: "↩", Restored: "✔",
	Stalled: "✖", Blocked: "▲", Invalid: "✖", Resolved: "✔", Outage: "✖", OutageOver: "✔", Test: "✔",
}

// slackMessage is a message in Slack's form: https://docs.slack.dev/reference/block-kit/blocks
func slackMessage(m Message) slackBody {
	title := escape(m.Summary)
	text := title
	if m.Why != "" {
		text += "\n" + escape(m.Why)
	}
	out := slackBody{Text: text, Blocks: []slackBlock{section(slackGlyphs[m.Event] + " " + title)}}
	if m.Why != "" {
		out.Blocks = append(out.Blocks, section(escape(m.Why)))
	}
	if len(m.Services) > 0 {
		out.Blocks = append(out.Blocks, section(escape(named(m.Services, m.Count))))
	}
	if m.Next != "" {
		out.Blocks = append(out.Blocks, section("Next: "+escape(m.Next)))
	}
	foot := "environment " + escape(m.Environment)
	if m.Rollout != nil {
		foot += fmt.Sprintf(" · rollout %d", m.Rollout.Number)
	}
	last := slackBlock{Type: "context", Elements: []slackText{plainText(foot)}}
	if m.Evidence != "" {
		last.Elements = append(last.Elements, slackLink(m.Evidence, "evidence"))
	}
	out.Blocks = append(out.Blocks, last)
	return out
}

func section(s string) slackBlock {
	t := plainText(s)
	return slackBlock{Type: "section", Text: &t}
}

// named are the services that an outage names, and how many more there are.
func named(services []string, count int) string {
	out := strings.Join(services, ", ")
	if more := count - len(services); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// slackMax is less than a text of a block may have.
const slackMax = 2900

var slackEscapes = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;"}

// escape makes text of text: the three characters that mean something to Slack are written as entities, and none is cut in two.
// https://docs.slack.dev/messaging/formatting-message-text#escaping
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		e, ok := slackEscapes[r]
		if !ok {
			e = string(r)
		}
		if b.Len()+len(e) > slackMax {
			b.WriteString("…")
			break
		}
		b.WriteString(e)
	}
	return b.String()
}
