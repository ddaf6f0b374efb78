package client

import (
	"errors"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// throttleCodes are the SDK's own, without LimitExceededException: with ECS that is a quota, which no retry changes.
func throttleCodes() map[string]struct{} {
	codes := map[string]struct{}{}
	for code := range retry.DefaultThrottleErrorCodes {
		if code != "LimitExceededException" {
			codes[code] = struct{}{}
		}
	}
	return codes
}

// newRetryer is the SDK's standard retryer with three differences: a write is never repeated, a quota is no throttle, and
// the pauses come from opts.Jitter.
func newRetryer(opts Options) aws.Retryer {
	codes := throttleCodes()
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = opts.ReadAttempts
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			ceiling := math.Min(math.Pow(2, float64(attempt)), o.MaxBackoff.Seconds())
			return time.Duration(opts.Jitter() * ceiling * float64(time.Second)), nil
		})
		o.Retryables = []retry.IsErrorRetryable{
			retry.IsErrorRetryableFunc(neverAgain),
			retry.NoRetryCanceledError{},
			retry.RetryableError{},
			retry.RetryableConnectionError{},
			retry.RetryableHTTPStatusCode{Codes: retry.DefaultRetryableHTTPStatusCodes},
			retry.RetryableErrorCode{Codes: retry.DefaultRetryableErrorCodes},
			retry.RetryableErrorCode{Codes: codes},
		}
		o.Throttles = []retry.IsErrorThrottle{retry.ThrottleErrorCode{Codes: codes}}
	})
}

// neverAgain: a write may have taken effect, and who has waited for a turn in vain must not wait once more.
func neverAgain(err error) aws.Ternary {
	var write *WriteError
	var budget *BudgetError
	if errors.As(err, &write) || errors.As(err, &budget) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}
