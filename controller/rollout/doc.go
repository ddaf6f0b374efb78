// Package rollout is the reasoning of the controller: given what git asks, what the account showed and what is remembered
// about a service, Decide says what to remember next, which one thing to do, when to look again and why. It does no I/O,
// reads no clock, draws no random number and writes no log, so that every decision can be repeated from its arguments.
//
// The order of one pass is: Decide, save the record, do the action, save its outcome (Apply or Failed). Everything that
// an action needs to be repeated safely after a crash (tokens, the deployment id before it, the time it was asked for)
// is in the record before the action is done.
package rollout
