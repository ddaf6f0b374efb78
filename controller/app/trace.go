package app

import (
	"context"
	"sync"
)

// trace tells a collector how rollouts went for as long as the process runs, whoever acts: what ended in a tenure is told after it, and
// delays no other controller. What it returns ends that, and waits until the last ones are told, which is bounded.
func (a *App) trace() func() {
	if a.cfg.Trace == nil {
		return func() {}
	}
	ctx, end := context.WithCancel(context.Background())
	var tracing sync.WaitGroup
	tracing.Go(func() { a.cfg.Trace.Run(ctx, a.memory.History) })
	return func() {
		end()
		tracing.Wait()
	}
}
