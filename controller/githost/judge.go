package githost

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/google/go-github/v88/github"
)

// judge says what an error means: the host limits requests for a while, or refuses what it was asked. Everything else passes by itself.
func judge(err error, now time.Time) (wait time.Duration, limited, refused bool) {
	var primary *github.RateLimitError
	var secondary *github.AbuseRateLimitError
	var answer *github.ErrorResponse
	switch {
	case errors.As(err, &primary):
		return bound(primary.Rate.Reset.Sub(now) + time.Second), true, false
	case errors.As(err, &secondary):
		return bound(cmp.Or(retryAfter(secondary), limitedFor)), true, false
	case errors.As(err, &answer):
		switch code := answer.Response.StatusCode; {
		case code == http.StatusTooManyRequests:
			return limitedFor, true, false
		case code == http.StatusUnauthorized, code >= 500:
			return 0, false, false // a token is renewed, a server comes back
		}
		return 0, false, true
	}
	return 0, false, false
}

func bound(d time.Duration) time.Duration { return min(max(d, time.Second), limitedMax) }

func retryAfter(e *github.AbuseRateLimitError) time.Duration {
	if e.RetryAfter == nil {
		return 0
	}
	return *e.RetryAfter
}
