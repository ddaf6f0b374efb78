package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/server"
)

func sign(body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestWebhook(t *testing.T) {
	const body = "Hello, World!"
	// GitHub's own vector ("Validating webhook deliveries", Testing the webhook payload validation).
	const vector = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	large := strings.Repeat("x", 1<<20)
	tests := []struct {
		name, body, signature, event string
		code, wakes                  int
	}{
		{"push", body, vector, "push", 202, 1},
		{"upper case is the same number", body, "sha256=" + strings.ToUpper(vector[7:]), "push", 202, 1},
		{"ping", body, vector, "ping", 200, 0},
		{"another event wakes nobody", body, vector, "star", 202, 0},
		{"as large as allowed", large, sign(large), "push", 202, 1},
		{"too large", large + "x", sign(large + "x"), "push", 413, 0},
		{"another body", body + " ", vector, "push", 401, 0},
		{"no signature", body, "", "push", 401, 0},
		{"the older signature", body, "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", "push", 401, 0},
		{"cut short", body, vector[:20], "push", 401, 0},
		{"not hexadecimal", body, "sha256=zz", "push", 401, 0},
		{"empty", body, "sha256=", "push", 401, 0},
		{"a bad ping", body, "sha256=00", "ping", 401, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			w := h.do(http.MethodPost, "/webhook/github", tt.body, "X-Hub-Signature-256", tt.signature, "X-GitHub-Event", tt.event)
			if w.Code != tt.code || h.wakes != tt.wakes {
				t.Errorf("code %d and %d wakes, want %d and %d", w.Code, h.wakes, tt.code, tt.wakes)
			}
			if strings.Contains(w.Body.String(), secret) {
				t.Error("the answer tells the secret")
			}
		})
	}
}

func TestNoWebhookWithoutSecret(t *testing.T) {
	h := newHouse(t)
	h.config.WebhookSecret = ""
	h.Handler = server.New(h.config)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		// With an empty secret, anybody could sign.
		mac := hmac.New(sha256.New, nil)
		w := h.do(method, "/webhook/github", "", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		if w.Code != http.StatusNotFound || h.wakes != 0 {
			t.Errorf("%s answers %d with %d wakes, want 404 and none", method, w.Code, h.wakes)
		}
	}
}
