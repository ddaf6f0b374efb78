// Package ecs is the state of Amazon ECS in one account and region, on this
// machine: clusters, task definitions, services with rolling, blue/green, linear
// and canary deployments, tasks, service deployments and service revisions.
//
// Engine has one method per API operation, on the SDK's own input and output
// types; package wire puts those methods on the wire. An operation that is not
// modelled is not a method, and a member that is not modelled is refused by
// name: nothing is silently ignored.
//
// The engine runs on the plain time package, so it works unchanged in real
// time and inside testing/synctest bubbles. It is driven by events: a settled
// service has no timer. What happens is a function of Config.Seed and of the
// calls made, as far as the calls come in a fixed order.
//
// Where AWS's documents are silent or contradict each other, Doubts has a named
// switch. The README lists each behaviour with its source and its test.
package ecs
