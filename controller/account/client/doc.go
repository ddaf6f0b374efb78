// Package client builds the AWS clients that the controller speaks through: one token bucket in front of each of AWS's
// request budgets, one retry policy (reads three attempts, writes exactly one), a deadline on every attempt, and metrics.
package client
