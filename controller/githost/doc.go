// Package githost tells the git host what became of each commit: a commit status and a deployment per environment, and after a revert
// a pull request that puts git right. Say is the pure core: of a record it makes what should be told. Speaker is the thin hand: one
// goroutine that compares this with what the host holds already and writes the difference, so that a restart says nothing twice.
// It is never waited for, and only the controller that acts runs it.
//
// The host is GitHub: https://docs.github.com/en/rest (commits/statuses, deployments, git/refs, repos/contents, pulls).
package githost
