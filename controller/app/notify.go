package app

import (
	"context"
	"sync"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/notify"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// notify tells receivers for as long as this controller acts, which is until ctx ends. What it returns waits for the end of that.
// Whoever shares a ledger begins no request without the lease, and ends each within it.
func (a *App) notify(ctx context.Context, l Ledger, records []rollout.Record) func() {
	n := a.cfg.Notify
	if n == nil {
		return func() {}
	}
	office := notify.Office{Ledger: l}
	if a.cfg.Shared != nil {
		office.MayTell = a.cfg.Shared.Lease.MayWrite
	}
	n.Begin(records)
	var telling sync.WaitGroup
	telling.Go(func() { n.Run(ctx, office) })
	return telling.Wait
}

// tellGit hands on how a look at git ended.
func (a *App) tellGit(v status.RepoView) {
	if a.cfg.Notify == nil {
		return
	}
	var file *string
	if v.Invalid != nil {
		why := ""
		if errs := v.Invalid[desired.EnvironmentFile]; len(errs) > 0 {
			why = errs[0].Error()
		}
		file = &why
	}
	a.cfg.Notify.Git(v.Error, file)
}
