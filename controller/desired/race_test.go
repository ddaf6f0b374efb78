//go:build race

package desired_test

// raced says that the tests look for races: then everything takes ten times as long, and pools are left half empty on purpose.
const raced = true
