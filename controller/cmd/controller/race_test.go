//go:build race

package main

// raceFlags build the program as the test was built, so that its packages are compiled once and its races are found too.
var raceFlags = []string{"-race"}
