package app

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/retry"
	"github.com/canteen/deploy/controller/status"
)

// fetchFor bounds one round of questions to git, retries included. A round that failed is repeated within againAfter, for
// where the poll is long because a webhook wakes: it does not tell that git is back.
//
// Between two rounds lie at least kickGap, however many webhooks come: each of them is answered at once, and the first one after a
// quiet second is also followed at once.
const (
	fetchFor   = 30 * time.Second
	againAfter = 30 * time.Second
	kickGap    = time.Second
)

// errorsLogged is how many errors of a snapshot are logged. The page has them all.
const errorsLogged = 100

// namedMax bounds how many changed services one line of the log names.
const namedMax = 50

// follow asks git at every poll and every kick, and hands each new snapshot on. Trouble with git keeps the last snapshot
// and is told.
func (a *App) follow(ctx context.Context) error {
	var head string
	for {
		began := time.Now()
		now, err := a.fetch(ctx, head)
		head = now
		wait := a.cfg.Poll
		if err != nil {
			wait = min(wait, againAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
			continue
		case <-a.kick:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(began.Add(kickGap))):
		}
		select { // those that came meanwhile are of the same look
		case <-a.kick:
		default:
		}
	}
}

// fetch asks git once and returns the commit that the snapshot is of. It has told an error already.
func (a *App) fetch(ctx context.Context, before string) (string, error) {
	view := status.RepoView{Source: a.cfg.Git.Source}
	began := time.Now()
	stopped := ctx
	ctx, cancel := context.WithTimeout(ctx, fetchFor)
	defer cancel()
	var snapshot *desired.Snapshot
	err := retry.Do(ctx, retry.Policy{Elapsed: fetchFor / 2}, func(ctx context.Context) error {
		head, err := a.repo.Fetch(ctx)
		if err != nil {
			return err
		}
		view.Head, view.FetchedAt = head.Commit, time.Now()
		if head.Commit.SHA != before {
			snapshot = a.loader.Load(head.FS())
			snapshot.Commit, snapshot.Confirms, snapshot.Parents = head.Commit, head.Confirms, head.Parents
		}
		return nil
	})
	view.Took = time.Since(began)
	if err != nil {
		if stopped.Err() == nil {
			a.cfg.Log.Warn("git cannot be read", zap.Error(err), zap.String("kind", string(fault.KindOf(err))))
		}
		a.ready.why(partGit, "git cannot be read: "+err.Error())
		a.recall(ctx)
		view.Error = err.Error()
		a.board.Repo(view)
		if stopped.Err() == nil {
			a.tellGit(view)
		}
		return before, err
	}
	if snapshot != nil {
		view.Invalid = byFile(snapshot.Errors)
		a.take(ctx, snapshot, &view)
	}
	a.ready.done(partGit)
	a.board.Repo(view)
	a.tellGit(view)
	return view.Head.SHA, nil
}

// take hands a snapshot on and wakes the services whose word changed.
func (a *App) take(ctx context.Context, s *desired.Snapshot, view *status.RepoView) {
	if old := a.asked.Environment(); old != nil && s.Environment != nil && (old.Spec.Account != s.Environment.Spec.Account || old.Spec.Region != s.Environment.Spec.Region) {
		// The credentials stay what they were: a typing error must not point them elsewhere, nor stop the controller.
		why := fmt.Sprintf("%s now names account %s in %s; this controller works in %s in %s and keeps the environment's last word. Restart it where that is meant",
			desired.EnvironmentFile, s.Environment.Spec.Account, s.Environment.Spec.Region, old.Spec.Account, old.Spec.Region)
		view.Invalid[desired.EnvironmentFile] = append(view.Invalid[desired.EnvironmentFile], desired.Error{File: desired.EnvironmentFile, Line: 1, Col: 1, Message: why})
		s.Environment = nil
	}
	if s.Environment != nil {
		a.keep(ctx, s.Environment)
	}
	changed := a.asked.Take(s)
	a.tellMassChange()
	if s.Environment == nil {
		a.recall(ctx)
	}
	a.cfg.Log.Info("snapshot", zap.String("commit", s.Commit.Short()), zap.String("subject", s.Commit.Subject), zap.Int("services", len(s.Services)),
		zap.Int("invalid", len(s.Invalid)), zap.Int("parsed", a.loader.Parsed()), zap.Int("woken", len(changed)), zap.Strings("changed", changed[:min(len(changed), namedMax)]))
	for i, e := range s.Errors {
		if i == errorsLogged {
			a.cfg.Log.Warn("more invalid files", zap.String("commit", s.Commit.Short()), zap.Int("errors", len(s.Errors)-i))
			break
		}
		a.cfg.Log.Warn("invalid file", zap.String("commit", s.Commit.Short()), zap.String("file", e.File), zap.Int("line", e.Line), zap.Int("column", e.Col), zap.String("message", e.Message))
	}
	if a.asked.Known() {
		a.ready.known()
	} else {
		a.ready.why(partEnvironment, "no valid "+desired.EnvironmentFile+" has been read yet")
	}
	now := time.Now()
	for _, name := range changed {
		a.queue.WakeAt(name, now)
	}
}

// keep keeps the environment for the next start, where this is the controller that acts.
func (a *App) keep(ctx context.Context, env *desired.Environment) {
	l := a.writes.now()
	if l == nil {
		return
	}
	if err := l.KeepEnvironment(ctx, env); err != nil {
		a.cfg.Log.Warn("environment not kept", zap.Error(err))
	}
}

// recall takes over what the environment was before the controller was stopped, where git cannot say what it is now: a
// revert that was under way must not wait for a git server, nor for a typing error.
func (a *App) recall(ctx context.Context) {
	if a.asked.Known() {
		return
	}
	env, err := a.memory.Environment(context.WithoutCancel(ctx))
	if err != nil {
		a.cfg.Log.Warn("environment not recalled", zap.Error(err))
		return
	}
	if env == nil {
		return
	}
	a.cfg.Log.Info("environment recalled", zap.String("environment", env.Metadata.Name), zap.String("account", env.Spec.Account))
	a.asked.Remember(env)
	a.ready.known()
}

func byFile(errs []desired.Error) map[string][]desired.Error {
	out := map[string][]desired.Error{}
	for _, e := range errs {
		out[e.File] = append(out[e.File], e)
	}
	return out
}
