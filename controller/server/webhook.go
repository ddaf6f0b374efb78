package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
)

// bodyMax is the largest delivery that is read. GitHub sends up to 25 MB ("Webhook events and payloads"); a push so large
// is refused here and found by the next regular fetch.
const bodyMax = 1 << 20

// github takes a delivery of GitHub's and wakes the controller. Nothing in it is believed: git is asked itself.
func (s *server) github(w http.ResponseWriter, r *http.Request) {
	if s.WebhookSecret == "" {
		problem(w, http.StatusNotFound, "no webhook is configured; give the controller a webhook secret")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem(w, http.StatusMethodNotAllowed, "a delivery is a POST")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		if errors.As(err, new(*http.MaxBytesError)) {
			problem(w, http.StatusRequestEntityTooLarge, "the delivery is larger than 1 MiB")
			return
		}
		problem(w, http.StatusBadRequest, "the delivery ended too early")
		return
	}
	if !signed(body, s.WebhookSecret, r.Header.Get("X-Hub-Signature-256")) {
		problem(w, http.StatusUnauthorized, "X-Hub-Signature-256 does not sign this body with the configured secret")
		return
	}
	switch r.Header.Get("X-GitHub-Event") {
	case "ping":
		respond(w, http.StatusOK, map[string]bool{"pong": true})
		return
	case "push":
		s.Wake()
	}
	w.WriteHeader(http.StatusAccepted)
}

// signed reports whether the header is the HMAC-SHA256 of the body under the secret, in a time that tells nothing (GitHub,
// "Validating webhook deliveries").
func signed(body []byte, secret, header string) bool {
	text, ok := strings.CutPrefix(header, "sha256=")
	if !ok {
		return false
	}
	got, err := hex.DecodeString(text)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), got)
}
