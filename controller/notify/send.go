package notify

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/fault"
)

// send tells one thing. False: nothing may be told in this tenure any more.
func (l *lane) send(ctx context.Context, service string, d Due) bool {
	key := d.Message.Key
	if l.tries[key] > 0 && d.number > 0 && l.now().Sub(d.Message.At) > l.n.opts.Config.GiveUpAfter.Std() {
		return l.giveUp(ctx, service, d, resultExpired, fmt.Errorf("it is older than %s", l.n.opts.Config.GiveUpAfter))
	}
	sending := ctx
	if l.office.MayTell != nil {
		by, err := l.office.MayTell()
		if err != nil {
			l.resumeAt = time.Now().Add(notHeld)
			return true
		}
		var cancel context.CancelFunc
		sending, cancel = context.WithDeadline(ctx, by)
		defer cancel()
	}
	name, err := l.to.take(sending, post{Message: *d.Message, thread: d.Post, doubt: l.unsure[key] || !d.Message.At.After(l.began)})
	if ctx.Err() != nil && err != nil {
		return false // whoever comes next finds out
	}
	if err == nil {
		l.well()
		return l.done(ctx, service, d, name)
	}
	t := troubleOf(err)
	if t.what == refused {
		l.well()
		return l.giveUp(ctx, service, d, resultRefused, err)
	}
	l.tries[key]++
	l.unsure[key] = l.unsure[key] || t.unsure
	l.ill(t, key)
	return true
}

// done keeps that a message was told.
func (l *lane) done(ctx context.Context, service string, d Due, name string) bool {
	l.n.metrics.sent.WithLabelValues(l.name, resultDelivered).Inc()
	l.log().Debug("told", zap.String("key", d.Message.Key))
	return l.settle(ctx, service, d, name)
}

// settle keeps the mark after d, whatever became of it, before anything else is told.
func (l *lane) settle(ctx context.Context, service string, d Due, name string) bool {
	delete(l.tries, d.Message.Key)
	delete(l.unsure, d.Message.Key)
	delete(l.heads, service)
	l.marks[service] = l.marks[service].After(d, name)
	if !l.keep(ctx, service) {
		return false
	}
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	l.dirty[service] = true
	return true
}

func (l *lane) giveUp(ctx context.Context, service string, d Due, result string, why error) bool {
	l.n.metrics.sent.WithLabelValues(l.name, result).Inc()
	l.log().Error("a message is given up", zap.String("key", d.Message.Key), zap.String("result", result), zap.Error(why))
	return l.settle(ctx, service, d.passed(), "")
}

// ill lets the receiver be for a while.
func (l *lane) ill(t *trouble, key string) {
	wait := max(l.backoff.NextBackOff(), t.after)
	if t.what == mend {
		wait = max(wait, mendRetry)
	}
	l.resumeAt = time.Now().Add(wait)
	l.n.metrics.sent.WithLabelValues(l.name, resultRetried).Inc()
	if l.failing {
		return
	}
	l.failing = true
	l.n.metrics.failing.WithLabelValues(l.name).Set(1)
	l.log().Warn("a receiver takes no messages; they are sent later", zap.String("key", key), zap.String("kind", string(t.what)), zap.Error(t.err))
}

func (l *lane) well() {
	l.backoff.Reset()
	if l.failing {
		l.failing = false
		l.n.metrics.failing.WithLabelValues(l.name).Set(0)
		l.log().Info("a receiver takes messages again")
	}
}

// keep keeps the mark of a service, however long that takes, where the ledger does not have it already. False: ctx has ended, or
// another controller holds the ledger by now.
func (l *lane) keep(ctx context.Context, service string) bool {
	data, err := encodeMark(l.marks[service])
	if err != nil {
		panic(err) // plain texts and numbers
	}
	if bytes.Equal(data, l.lasting[service]) {
		return true
	}
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := l.office.Ledger.KeepMark(ctx, markKey(l.name, service), data)
		if err == nil {
			l.lasting[service] = data
			return true
		}
		if ctx.Err() != nil || fault.Is(err, fault.Conflict) {
			return false
		}
		l.log().Warn("what was told cannot be kept; nothing more is told until it can", zap.Error(err))
		if !pause(ctx, wait, nil) {
			return false
		}
	}
}

// pause waits, and reports false where ctx has ended.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-woken:
	}
	return true
}
