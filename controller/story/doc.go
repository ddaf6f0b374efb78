// Package story tells stories of deployments and holds the controller to them: the whole of it as production starts it,
// with the real AWS clients, against the account on this machine, with a real repository and a real ledger file, in the
// virtual time of a testing/synctest bubble.
//
// A World is one such arrangement and has a verb for whatever people, pipelines, AWS and bad luck do. Its Observer knows
// the account and git and nothing of the controller, and checks after each request what must always hold. The stories in
// testdata are scripts of those verbs (see README.md).
package story
