package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The bounds of one request. What answers more slowly has not taken the message, as far as anybody knows.
const (
	requestFor    = 10 * time.Second
	answerMax     = 256 << 10
	retryAfterMax = time.Hour
)

// trouble is why a message was not taken.
type trouble struct {
	what  refusal
	after time.Duration // what the receiver asks to wait; 0 where it does not say
	// unsure says that the message may have been taken all the same.
	unsure bool
	err    error
}

// refusal is what can be done about it.
type refusal string

const (
	later   refusal = "later"   // the receiver is away or busy: the same again
	mend    refusal = "mend"    // a person must mend the receiver's configuration: the same again, rarely
	refused refusal = "refused" // this message will never be taken
)

func (t *trouble) Error() string { return t.err.Error() }
func (t *trouble) Unwrap() error { return t.err }

// troubleOf is what err says; anything unknown may be over later.
func troubleOf(err error) *trouble {
	var t *trouble
	if errors.As(err, &t) {
		return t
	}
	return &trouble{what: later, err: err}
}

// newClient is a client that follows no redirect: what it carries is for one address only.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// exchange posts a body and answers what came back with status 2xx; any other answer is trouble. No error repeats the address, which
// may let somebody in, nor what the answer says.
func exchange(ctx context.Context, client *http.Client, address, contentType string, header map[string]string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, &trouble{what: mend, err: errors.New("its address is none: write https://…")}
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "deploy-controller")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, &trouble{what: later, unsure: true, err: withoutAddress(err)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerMax))
	if res.StatusCode/100 == 2 {
		if err != nil {
			return nil, &trouble{what: later, unsure: true, err: errors.New("its answer ended early")}
		}
		return answer, nil
	}
	return answer, judge(res)
}

// judge is what an answer that is not 2xx means.
func judge(res *http.Response) *trouble {
	t := &trouble{what: refused, err: fmt.Errorf("it answers %s", res.Status)}
	switch code := res.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusConflict:
		t.what, t.after = later, retryAfter(res.Header.Get("Retry-After"))
	case code >= 500:
		t.what, t.after, t.unsure = later, retryAfter(res.Header.Get("Retry-After")), true
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusMethodNotAllowed,
		code == http.StatusGone, code == http.StatusProxyAuthRequired, code/100 == 3:
		t.what = mend
	}
	return t
}

// retryAfter reads seconds or a date, at most an hour. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(value string) time.Duration {
	value = strings.TrimSpace(value)
	var d time.Duration
	if n, err := strconv.Atoi(value); err == nil {
		d = time.Duration(min(n, int(retryAfterMax/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), retryAfterMax)
}

func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return fmt.Errorf("no answer within %s", requestFor)
		}
		err = u.Err
	}
	return fmt.Errorf("it cannot be reached: %w", err)
}

func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // plain structs of text and numbers
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
