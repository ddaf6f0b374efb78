package app

import (
	"context"
	"sync"

	"github.com/canteen/deploy/controller/githost"
	"github.com/canteen/deploy/controller/rollout"
)

// speak tells the git host what became of the services for as long as this controller acts, which is until ctx ends. No pass waits for
// it. What it returns waits for the end of that. Without a host it does nothing.
func (a *App) speak(ctx context.Context, environment string, records []rollout.Record) func() {
	if a.cfg.GitHost == nil {
		return func() {}
	}
	a.cfg.GitHost.Begin(records)
	var speaking sync.WaitGroup
	speaking.Go(func() {
		a.cfg.GitHost.Speak(ctx, githost.Term{Environment: environment, Folder: a.cfg.Git.Folder, History: a.memory.History})
	})
	return speaking.Wait
}
