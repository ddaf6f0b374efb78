package app

import (
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/githost"
	"github.com/canteen/deploy/controller/notify"
	"github.com/canteen/deploy/controller/origin"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
	"github.com/canteen/deploy/controller/trace"
)

// teller hands passes to the board, and writes one line for each that changed something.
type teller struct {
	board   *status.Board
	log     *zap.Logger
	origins *origin.Origins
	events  *events.Listener // nil for none
	host    *githost.Speaker // nil for none
	notify  *notify.Notifier // nil for none
	trace   *trace.Tracer    // nil for none

	share func(*rollout.Record) // lets the ledger keep the record that is told; nil where it keeps none
}

// Passed implements reconcile.Teller.
func (t *teller) Passed(p reconcile.Pass) {
	t.board.Pass(result(p), p.Took)
	if p.Record.Service == "" {
		return // the record could not be read: what was told before stays
	}
	t.origins.Note(p.Record)
	old := t.board.Service(p.Service)
	view := status.View{
		Record:   p.Record,
		Status:   condition.Of(condition.Input{Record: p.Record, Seen: p.Seen, Invalid: p.Invalid, NextAt: p.NextAt}),
		Observed: new(status.Observe(p.Seen)),
		Built:    t.origins.Built(p.Service),
	}
	var before status.Kept
	if old != nil {
		before = old.Seen
	}
	view.Seen = status.Keep(p.Seen, before, p.Record.Rollout != nil)
	if p.Seen.At.IsZero() && old != nil {
		view.Observed, view.Seen = old.Observed, old.Seen // the account could not be looked at: the last look stands, with its time
	}
	t.board.Publish(view)
	if told := t.board.Service(p.Service); t.share != nil && told != nil {
		t.share(&told.Record)
	}
	if t.notify != nil {
		t.notify.Note(p.Record, p.Invalid)
	}
	if t.events != nil {
		t.events.Note(p.Service, known(p.Record, p.Seen))
	}
	if t.host != nil {
		t.host.Note(p.Record)
	}
	if p.Action != nil || old == nil || old.Status.Phase != view.Status.Phase {
		fields := []zap.Field{zap.String("service", p.Service), zap.String("phase", string(view.Status.Phase)), zap.String("why", view.Status.Why),
			zap.Int("generation", p.Record.Generation), zap.Duration("took", p.Took)}
		if p.Action != nil {
			fields = append(fields, zap.String("action", p.Action.Name()))
		}
		if p.Record.Intent != nil {
			fields = append(fields, zap.String("commit", p.Record.Intent.Commit.Short()))
		}
		t.log.Info("decided", fields...)
	}
}

// Ended implements reconcile.Teller.
func (t *teller) Ended(e rollout.Entry) {
	t.board.Finished(e)
	if t.trace != nil {
		t.trace.Ended(e)
	}
	t.log.Info("rollout ended", zap.String("service", e.Service), zap.Int("number", e.Number), zap.String("kind", string(e.Kind)),
		zap.String("result", string(e.Result)), zap.String("commit", e.Commit.Short()), zap.String("message", e.Message), zap.Duration("took", e.EndedAt.Sub(e.StartedAt)))
}

func result(p reconcile.Pass) status.PassResult {
	switch {
	case p.Panicked:
		return status.PassPanicked
	case p.Err != nil && fault.Is(p.Err, fault.Conflict):
		return status.PassConflict
	case p.Err != nil:
		return status.PassFailed
	case p.Action != nil:
		return status.PassActed
	}
	return status.PassQuiet
}
