package app

import (
	"context"
	"sync"
)

// findOrigins asks what the images of rollouts were built of for as long as this controller acts, which is until ctx ends. No pass waits
// for it, and its requests wait for everybody else's. What it returns waits for the end of that.
func (a *App) findOrigins(ctx context.Context, account Account) func() {
	a.origins.Begin()
	var working sync.WaitGroup
	working.Go(func() { a.origins.Work(ctx, account) })
	return working.Wait
}
