// Package retry is the one place where something outside the AWS SDK is tried again at once: a git fetch, a message, a
// lease. What may wait longer than some tens of seconds does not belong here: it is saved and woken by the queue.
package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/canteen/deploy/controller/fault"
)

// Policy says how long to go on. The zero value of a member takes the default named with it.
type Policy struct {
	Initial time.Duration // the first wait; each one after it is twice as long. Default 500ms
	Max     time.Duration // the longest wait. Default 10s
	Elapsed time.Duration // no attempt begins later than this after the first one. Default 30s
	// Jitter spreads each wait evenly over ± this share of it, so that many clients do not come back together.
	// 0, the default, makes every run the same.
	Jitter float64
}

// Do calls op until it succeeds, and returns nil then. It gives up without another attempt
//   - when op's error is marked by Permanent, or is of the kinds fault.Terminal and fault.Blocked: another try in a few
//     seconds would meet the same answer; the error is returned as it is;
//   - when ctx ends, or its deadline would pass during the next wait: the error wraps the context's and op's last one;
//   - when Elapsed would be passed by the next wait: the error wraps op's last one.
//
// op is called at least once, unless ctx has ended before.
func Do(ctx context.Context, p Policy, op func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	waits := p.backoff()
	for attempt := 1; ; attempt++ {
		err := op(ctx)
		if err == nil {
			return nil
		}
		if isFinal(err) {
			return err
		}
		wait := waits.NextBackOff()
		if wait == backoff.Stop {
			return fmt.Errorf("gave up after %s: %w", count(attempt), err)
		}
		if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil && time.Until(deadline) <= wait {
			return fmt.Errorf("gave up after %s, the next would come too late: %w: %w", count(attempt), context.DeadlineExceeded, err)
		}
		if !pause(ctx, wait) && errors.Is(err, ctx.Err()) {
			return fmt.Errorf("gave up after %s: %w", count(attempt), err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("gave up after %s: %w: %w", count(attempt), ctx.Err(), err)
		}
	}
}

// Permanent marks an error that no repetition mends, for errors that have no kind of their own.
func Permanent(err error) error { return backoff.Permanent(err) }

func isFinal(err error) bool {
	var permanent *backoff.PermanentError
	return errors.As(err, &permanent) || fault.Is(err, fault.Terminal) || fault.Is(err, fault.Blocked)
}

func (p Policy) backoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(or(p.Initial, 500*time.Millisecond)),
		backoff.WithMaxInterval(or(p.Max, 10*time.Second)),
		backoff.WithMaxElapsedTime(or(p.Elapsed, 30*time.Second)),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(p.Jitter),
	)
}

func or(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

func count(attempts int) string {
	if attempts == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", attempts)
}

// pause waits, and reports whether it waited to the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
