package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// The headers of a generic webhook.
const (
	HeaderKey       = "Idempotency-Key"
	HeaderTimestamp = "Deploy-Timestamp"
	HeaderSignature = "Deploy-Signature"
)

// post is one message on its way to a receiver.
type post struct {
	Message
	thread string // the receiver's own name of the thread, empty for a message that stands alone
	doubt  bool   // it may have been taken already
}

// receiver takes messages. take answers the receiver's own name of the message, empty where it has none; an error is a trouble.
type receiver interface {
	take(ctx context.Context, p post) (name string, err error)
}

// webhook is a generic receiver.
type webhook struct {
	spec   WebhookSpec
	vault  *vault
	client *http.Client
	now    func() time.Time
}

func (w webhook) take(ctx context.Context, p post) (string, error) {
	address, err := w.vault.get(ctx, w.spec.URL)
	if err != nil {
		return "", &trouble{what: mend, err: err}
	}
	secret, err := w.vault.get(ctx, w.spec.Secret)
	if err != nil {
		return "", &trouble{what: mend, err: err}
	}
	body := marshal(p.Message)
	at := strconv.FormatInt(w.now().Unix(), 10)
	_, err = exchange(ctx, w.client, address, "application/json", map[string]string{
		HeaderKey: p.Key, HeaderTimestamp: at, HeaderSignature: Sign(secret, at, body),
	}, body)
	if err != nil && troubleOf(err).what == mend {
		w.vault.forget(w.spec.URL)
		w.vault.forget(w.spec.Secret)
	}
	return "", err
}

// Sign is the signature of a body that was sent at a time in seconds since 1970: HMAC-SHA256 over time, a full stop and body.
func Sign(secret, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(timestamp + "."))
	h.Write(body)
	return "sha256=" + hex.EncodeToString(h.Sum(nil))
}
