package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/canteen/deploy/controller/urgency"
)

// gate stands between the SDK and the wire: budgets, deadlines and metrics of every attempt.
type gate struct {
	opts    Options
	calls   map[string]map[string]call
	buckets map[string]*turns
	metrics *metrics
}

func newGate(opts Options) *gate {
	g := &gate{opts: opts, calls: calls(), buckets: map[string]*turns{}}
	for name, b := range defaultBuckets() {
		if own, ok := opts.Buckets[name]; ok {
			b = own
		}
		g.buckets[name] = newTurns(b, opts.BurstShare, opts.RefillShare)
	}
	g.metrics = newMetrics(opts.Registerer, g.calls, g.buckets)
	return g
}

// install returns what puts the gate into the stack of each operation of the service. The budget is waited for before
// signing, so that a signature is never old when it is sent, and inside the SDK's retry loop, so that a retry pays too.
func (g *gate) install(service string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		c, ok := g.calls[service][stack.ID()]
		if !ok {
			return fmt.Errorf("%s %s has no budget; add it to the list of calls", service, stack.ID())
		}
		if c.write && g.opts.ReadOnly {
			return &ReadOnlyError{Operation: stack.ID()}
		}
		wait := middleware.FinalizeMiddlewareFunc("Budget", g.wait(service, c))
		if err := stack.Finalize.Insert(wait, "Retry", middleware.After); err != nil {
			return err
		}
		send := middleware.FinalizeMiddlewareFunc("Attempt", g.send(service, stack.ID(), c))
		return stack.Finalize.Add(send, middleware.After)
	}
}

type finalize = func(context.Context, middleware.FinalizeInput, middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error)

func (g *gate) wait(service string, c call) finalize {
	bucket := g.buckets[c.bucket]
	return func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		from := time.Now()
		waiting, cancel := context.WithTimeout(ctx, g.opts.WaitMax)
		err := bucket.wait(waiting)
		cancel()
		g.metrics.waited(urgency.Of(ctx), time.Since(from))
		if err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, &BudgetError{Bucket: c.bucket, Err: err}
		}
		return next.HandleFinalize(ctx, in)
	}
}

func (g *gate) send(service, operation string, c call) finalize {
	return func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		from := time.Now()
		by := from.Add(g.opts.AttemptMax + c.waits)
		if c.write && g.opts.MayWrite != nil {
			// Only here: a request may have waited long for its budget.
			most, err := g.opts.MayWrite()
			if err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, &WriteError{Operation: operation, Err: fmt.Errorf("not sent: %w", err)}
			}
			if most.Before(by) {
				by = most
			}
		}
		sending, cancel := context.WithDeadline(ctx, by)
		defer cancel()
		out, meta, err := next.HandleFinalize(sending, in)
		if err != nil && errors.Is(sending.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %s: %w", by.Sub(from).Round(time.Millisecond), err)
		}
		if date, ok := awsmiddleware.GetServerTime(meta); ok && g.opts.Clock != nil {
			g.opts.Clock.Heard(date, from)
		}
		switch g.metrics.answered(service, operation, time.Since(from), err) {
		case codeThrottled:
			g.buckets[c.bucket].throttled()
		case codeOK:
			g.buckets[c.bucket].served()
		}
		if err != nil && c.write {
			err = &WriteError{Operation: operation, Sent: !neverOpened(err), Err: err}
		}
		return out, meta, err
	}
}
