package rollout

// Kind is what a rollout is for.
type Kind string

// The kinds of rollout.
const (
	KindDeploy  Kind = "deploy"  // toward what git asks
	KindRevert  Kind = "revert"  // back to the last good revision after a failure
	KindRestore Kind = "restore" // back to it after a change by somebody else
	KindUndo    Kind = "undo"    // the first rollout failed: the count goes back to what it was
)

// Trigger is what began a rollout.
type Trigger string

// The triggers.
const (
	TriggerGit      Trigger = "git"
	TriggerRetry    Trigger = "retry"
	TriggerTemplate Trigger = "template"
	TriggerSecret   Trigger = "secret" // a secret has a new value
	TriggerDrift    Trigger = "drift"
	TriggerFailure  Trigger = "failure"
)

// Stage is how far a rollout is.
type Stage string

// The stages, in their order. StageEvidence follows a failure, before anything is put back.
const (
	StageRegister Stage = "register"
	StageMigrate  Stage = "migrate"
	StageRoll     Stage = "roll"
	StageBake     Stage = "bake"
	StageEvidence Stage = "evidence"
)
