package rollout

// State is the closed word for what is going on with a service; package condition makes conditions and a phase of it.
type State string

// The states.
const (
	StateUnknown  State = ""
	StateSettled  State = "Settled"  // what git asks runs and is good
	StateReverted State = "Reverted" // the last good runs, because what git asks was rejected
	StateReleased State = "Released" // its file was removed: told, not touched

	StateRegistering State = "Registering"
	StateMigrating   State = "Migrating"
	StateRolling     State = "Rolling"
	StateBaking      State = "Baking"
	StateFailing     State = "Failing" // evidence is being collected
	StateReverting   State = "Reverting"
	StateRestoring   State = "Restoring"

	StateInvalid           State = "Invalid" // git's file is invalid and nothing valid was ever seen
	StateSuspended         State = "Suspended"
	StateHeld              State = "Held" // by the service's tag
	StateDrifted           State = "Drifted"
	StateBlocked           State = "Blocked"
	StateStalled           State = "Stalled"
	StateWaitingWindow     State = "WaitingForWindow"
	StateWaitingConcurrent State = "WaitingForOthers"
	StateWaitingDependency State = "WaitingForDependency"
	StateWaitingStack      State = "WaitingForStack"
	StateWaitingLock       State = "WaitingForLock"
	StateWaitingHealth     State = "WaitingForHealth" // a check already fails before anything was begun
	StateWaitingTemplate   State = "TemplateChanged"  // reported by policy, not rolled
	StateWritingDown       State = "WritingDown"      // what was good before is written down before anything new is begun
	StateMassChange        State = "MassChange"       // a commit changes more services at once than the policy lets pass
	StateManyMissing       State = "ManyMissing"      // the account suddenly lacks many services
)

// States are all of them, in the order above.
func States() []State {
	return []State{StateUnknown, StateSettled, StateReverted, StateReleased, StateRegistering, StateMigrating, StateRolling, StateBaking, StateFailing,
		StateReverting, StateRestoring, StateInvalid, StateSuspended, StateHeld, StateDrifted, StateBlocked, StateStalled, StateWaitingWindow,
		StateWaitingConcurrent, StateWaitingDependency, StateWaitingStack, StateWaitingLock, StateWaitingHealth, StateWaitingTemplate, StateWritingDown, StateMassChange, StateManyMissing}
}
