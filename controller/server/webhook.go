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
	want, ok := signature(r.Header.Get("X-Hub-Signature-256"))
	if !ok {
		problem(w, http.StatusUnauthorized, "X-Hub-Signature-256 is not sha256= and 64 hexadecimal digits")
		return
	}
	if r.ContentLength > bodyMax {
		problem(w, http.StatusRequestEntityTooLarge, tooLarge)
		return
	}
	// Nothing in the body is used but for its signature, so none of it is kept: a thousand strangers who send slowly cost a
	// thousand small buffers.
	mac := hmac.New(sha256.New, []byte(s.WebhookSecret))
	if _, err := io.CopyBuffer(mac, http.MaxBytesReader(w, r.Body, bodyMax), make([]byte, 4<<10)); err != nil {
		if errors.As(err, new(*http.MaxBytesError)) {
			problem(w, http.StatusRequestEntityTooLarge, tooLarge)
			return
		}
		problem(w, http.StatusBadRequest, "the delivery ended too early")
		return
	}
	if !hmac.Equal(mac.Sum(nil), want) {
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

const tooLarge = "the delivery is larger than 1 MiB"

// signature reads the header, which is the HMAC-SHA256 of the body under the secret (GitHub, "Validating webhook deliveries"). It is
// compared in a time that tells nothing.
func signature(header string) ([]byte, bool) {
	text, ok := strings.CutPrefix(header, "sha256=")
	if !ok || len(text) != hex.EncodedLen(sha256.Size) {
		return nil, false
	}
	sum, err := hex.DecodeString(text)
	return sum, err == nil
}
