package main

import (
	"context"
	"runtime/debug"
	"time"
)

// collectMore lets the heap grow by a fifth between two collections, where Go's default is to double it. What is kept of each service
// lives long and little is made in passing, so that this costs hundredths of a core with ten thousand services, and saves most of the
// memory that is not in use. GOGC says otherwise where it is set, and GOMEMLIMIT holds besides.
func collectMore(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(20)
	}
}

// giveBackEvery is how often memory is given back that is not in use: a start, a scrape or a page of ten thousand services takes some
// in passing.
const giveBackEvery = 5 * time.Minute

// giveBack gives memory of the heap back for as long as ctx lasts.
func giveBack(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(giveBackEvery):
			debug.FreeOSMemory()
		}
	}
}
