package main

import "runtime/debug"

// collectMore lets the heap grow by a quarter between two collections, where Go's default is to double it. What is kept of each service
// lives long and little is made in passing, so that this costs a few hundredths of a core with ten thousand services, and saves most of
// the memory that is not in use. GOGC, and GOMEMLIMIT, still say otherwise.
func collectMore(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}
