package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/canteen/deploy/controller/fault"
)

// The patience with the table. DynamoDB answers within some milliseconds; what takes a second has failed.
const (
	attemptFor  = 1500 * time.Millisecond
	callFor     = 5 * time.Second
	attemptsMax = 3
	backoffMax  = 500 * time.Millisecond
)

// attempts bounds each attempt of a request, so that one that hangs leaves time for the next.
func attempts(stack *middleware.Stack) error {
	return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Attempt",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			sending, cancel := context.WithTimeout(ctx, attemptFor)
			defer cancel()
			out, meta, err := next.HandleFinalize(sending, in)
			if err != nil && sending.Err() != nil && ctx.Err() == nil {
				err = &slowError{err}
			}
			return out, meta, err
		}), middleware.After)
}

// slowError is an attempt that took too long. Its method tells the SDK that another may succeed.
type slowError struct{ error }

func (e *slowError) Unwrap() error        { return e.error }
func (e *slowError) RetryableError() bool { return true }
func (e *slowError) Error() string {
	return fmt.Sprintf("no answer within %s: %v", attemptFor, e.error)
}

// newRetryer is the SDK's standard one with short pauses. A repeated write is the same write: transactions carry a client
// token, and requests of the lease are made with one attempt.
func newRetryer(opts Options) aws.Retryer {
	jitter := opts.Jitter
	if jitter == nil {
		jitter = rand.Float64
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attemptsMax
		o.Retryables = slices.Insert(o.Retryables, 0, retry.IsErrorRetryable(retry.IsErrorRetryableFunc(tooSlow)))
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			most := math.Min(float64(50*time.Millisecond)*math.Pow(2, float64(attempt)), float64(backoffMax))
			return time.Duration((0.5 + jitter()/2) * most), nil
		})
	})
}

func tooSlow(err error) aws.Ternary {
	var slow *slowError
	if errors.As(err, &slow) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// The codes of errors about the table itself.
const (
	CodeTable  = "ledger_table"  // Blocked: there is no such table, or it has other keys
	CodeDenied = "ledger_denied" // Blocked: the credentials may not use it
	codeBusy   = "TransactionConflict"
)

// classify gives an error of the SDK its kind, by type and code. A request that was cancelled by its conditions is the
// caller's to explain.
func (t *Table) classify(err error) error {
	var api smithy.APIError
	if err == nil || fault.KindOf(err) != fault.Unknown || !errors.As(err, &api) {
		return err
	}
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return fault.New(fault.Blocked, CodeTable, fmt.Errorf("there is no table %s in this account and region: %w", t.opts.Table, err))
	}
	code := api.ErrorCode()
	switch {
	case throttles(code):
		return fault.New(fault.Throttled, code, err)
	case denies(code):
		return fault.New(fault.Blocked, CodeDenied, fmt.Errorf("the controller may not use table %s: %w", t.opts.Table, err))
	case code == "ValidationException":
		return fault.New(fault.Blocked, CodeTable, fmt.Errorf("table %s does not take what the ledger writes; its keys must be pk and sk, both strings: %w", t.opts.Table, err))
	case code == "TransactionConflictException", code == "TransactionInProgressException":
		return fault.New(fault.Throttled, codeBusy, err)
	}
	return fault.New(fault.Unknown, code, err)
}

func throttles(code string) bool {
	_, is := retry.DefaultThrottleErrorCodes[code]
	return is || code == "ThrottlingError"
}

func denies(code string) bool {
	return slices.Contains([]string{
		"AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException",
		"MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidClientTokenId",
	}, code)
}

// cancellation answers the reasons of a transaction that was cancelled, in order of its items; nil for other errors.
func cancellation(err error) []types.CancellationReason {
	if c, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		return c.CancellationReasons
	}
	return nil
}

// busy explains a cancellation for which no condition is to blame.
func (t *Table) busy(reasons []types.CancellationReason, err error) error {
	for _, r := range reasons {
		switch code := aws.ToString(r.Code); {
		case code == "None", code == "":
		case code == codeBusy:
			return fault.New(fault.Throttled, codeBusy, err)
		case throttles(code), code == "ProvisionedThroughputExceeded":
			return fault.New(fault.Throttled, code, err)
		case code == "ValidationError", code == "ItemCollectionSizeLimitExceeded":
			return fault.New(fault.Terminal, code, fmt.Errorf("%s: %w", aws.ToString(r.Message), err))
		}
	}
	return err
}
