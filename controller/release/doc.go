// Package release writes images into git: the one that was just built into the environment that takes every build, and the one
// that proved itself in one environment into the next. It never speaks to AWS; the controllers do what git then asks.
//
// It works with the git program and its settings, since those of a pipeline (credentials, proxies, signing) are there already.
package release
