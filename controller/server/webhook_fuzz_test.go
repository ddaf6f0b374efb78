package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// counted is a body that says how much of it was read, and may break off.
type counted struct {
	left  int
	cut   bool
	read  int
	bytes []byte
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		if c.cut {
			return 0, errors.New("the connection is gone")
		}
		return 0, io.EOF
	}
	n := min(len(p), c.left)
	for i := range n {
		p[i] = c.at(c.read + i)
	}
	c.left, c.read = c.left-n, c.read+n
	return n, nil
}

func (c *counted) at(i int) byte {
	if len(c.bytes) == 0 {
		return 'x'
	}
	return c.bytes[i%len(c.bytes)]
}

// FuzzWebhook: whoever sends whatever is answered with one of the statuses that are described, no more of a body is read than is
// allowed, and only a push that is signed with the secret wakes.
func FuzzWebhook(f *testing.F) {
	f.Add("POST", "push", "", []byte(`{"ref":"refs/heads/main"}`), uint32(1), true, false)
	f.Add("POST", "ping", "", []byte(`{"zen":"x"}`), uint32(1), true, false)
	f.Add("POST", "push", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", []byte("Hello, World!"), uint32(1), false, false)
	f.Add("POST", "push", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", []byte("x"), uint32(1), false, true)
	f.Add("POST", "push", "", []byte("0123456789abcdef"), uint32(1<<16+1), true, false)
	f.Add("GET", "", "sha256=", []byte{}, uint32(0), false, false)
	h := newHouse(f)
	f.Fuzz(func(t *testing.T, method, event, signature string, body []byte, times uint32, sign, cut bool) {
		const most = 1 << 20
		size := int(min(uint64(len(body))*uint64(times%(1<<18)), most+4096))
		whole := &counted{bytes: body, left: size}
		if sign {
			mac := hmac.New(sha256.New, []byte(secret))
			_, _ = io.Copy(mac, whole)
			signature = "sha256=" + hex.EncodeToString(mac.Sum(nil))
		}
		sent := &counted{bytes: body, left: size, cut: cut}
		r := httptest.NewRequest(http.MethodPost, "/webhook/github", sent)
		r.Method, r.ContentLength = method, -1
		r.Header["X-Hub-Signature-256"], r.Header["X-Github-Event"] = []string{signature}, []string{event}
		before := h.wakes
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !slices.Contains([]int{200, 202, 400, 401, 405, 413}, w.Code) {
			t.Errorf("answers %d", w.Code)
		}
		if sent.read > most+1 {
			t.Errorf("read %d bytes", sent.read)
		}
		woken := h.wakes - before
		if want := sign && event == "push" && method == http.MethodPost && !cut && size <= most; want != (woken == 1) && (sign || woken > 0 && !strings.EqualFold(signature, signed(body, size))) {
			t.Errorf("woke %d times, answered %d: signed %v, %s %s of %d bytes, cut %v", woken, w.Code, sign, method, event, size, cut)
		}
		if w.Code == 202 && woken == 0 && event == "push" || w.Code != 202 && woken > 0 {
			t.Errorf("answered %d and woke %d times", w.Code, woken)
		}
	})
}

// signed is the header that signs the body repeated to the size.
func signed(body []byte, size int) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.Copy(mac, &counted{bytes: body, left: size})
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
