package sim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Call is one request that the account understood.
type Call struct {
	At        time.Time
	Service   string // signing name: ecs, elasticloadbalancing, monitoring, …
	Operation string
	Error     string // the error's code, or what else went wrong; empty: answered
}

// maxCalls is how many calls a CallLog remembers one by one. It counts all.
const maxCalls = 10_000

// CallLog remembers what clients asked.
type CallLog struct {
	mu     sync.Mutex
	recent []Call // a ring once it is full
	start  int
	counts map[string]int
}

func (l *CallLog) middleware() wire.Middleware {
	return func(next wire.Next) wire.Next {
		return func(ctx context.Context, c *wire.Call) (any, error) {
			at := time.Now()
			out, err := next(ctx, c)
			l.add(Call{At: at, Service: c.Service, Operation: c.Operation, Error: code(err)})
			return out, err
		}
	}
}

func code(err error) string {
	if err == nil {
		return ""
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return err.Error()
}

func (l *CallLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	l.counts[c.Service+"."+c.Operation]++
	if len(l.recent) < maxCalls {
		l.recent = append(l.recent, c)
		return
	}
	l.recent[l.start] = c
	l.start = (l.start + 1) % maxCalls
}

// Recent answers the newest calls, at most 10,000, oldest first.
func (l *CallLog) Recent() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.recent[l.start:], l.recent[:l.start])
}

// Counts answers how often each operation was called, by service.operation such as ecs.UpdateService.
func (l *CallLog) Counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// Count answers how often one operation was called.
func (l *CallLog) Count(service, operation string) int { return l.Counts()[service+"."+operation] }

// Reset forgets everything.
func (l *CallLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent, l.start, l.counts = nil, 0, nil
}
