package rollout

import "time"

// Action is one thing to do in the account. Each is safe to repeat with the same content.
type Action interface {
	// Name is the closed word for logs and metrics.
	Name() string
}

// Register registers a revision in the service's own family.
type Register struct {
	Template    string // ARN of the template
	Ask         string
	Fingerprint string
	Commit      string
	Containers  map[string]Container
	// Look says that an earlier request may have taken effect: look for its fingerprint before registering again.
	Look bool
	// Except is a revision that is not to be found so: the retry of what serves already needs another one.
	Except string
}

// RunMigration starts the one-off task from the new revision, in the service's own network.
type RunMigration struct {
	Revision  string
	Container string
	Command   []string
	Token     string // client token: the same request is the same task
	Key       string
	Timeout   time.Duration
}

// StopTask stops a task that took too long.
type StopTask struct {
	Task   string
	Reason string
}

// CountMax is the most tasks that a service may have: ECS's quota "Tasks per service"
// (https://docs.aws.amazon.com/general/latest/gr/ecs-service.html#limits_ecs).
const CountMax = 5000

// Roll asks ECS for a rolling deployment of a revision.
type Roll struct {
	Revision              string
	MinimumHealthyPercent int
	MaximumPercent        int
	Count                 *int   // only for a service that is at 0
	Before                string // PRIMARY's id before
}

// Scale sets the count and nothing else.
type Scale struct{ Count int }

// Tag writes the service's tags: what must not be lost with the ledger.
type Tag struct{ Set map[string]string }

// Keep writes the parameter that the stack reads the service's task definition from.
type Keep struct{ Revision string }

// Name implements Action.
func (Register) Name() string     { return "register" }
func (RunMigration) Name() string { return "run migration" }
func (StopTask) Name() string     { return "stop task" }
func (Roll) Name() string         { return "roll" }
func (Scale) Name() string        { return "scale" }
func (Tag) Name() string          { return "tag" }
func (Keep) Name() string         { return "keep parameter" }

// Outcome is what an action answered. It is saved before anything else is decided.
type Outcome struct {
	Revision   string // Register
	Task       string // RunMigration
	Deployment string // Roll: PRIMARY's id in the answer
}

// The tags that the controller keeps, on revisions and on services.
const (
	TagAsk         = "deploy:ask"
	TagFingerprint = "deploy:fingerprint"
	TagCommit      = "deploy:commit"
	TagGood        = "deploy:good"     // on the service: the last good revision
	TagTaken       = "deploy:taken"    // on the service: ask and fingerprint of the revision in TagGood, where it was taken over
	TagRejected    = "deploy:rejected" // on the service: the newest rejected ask
	TagMigrated    = "deploy:migrated" // on the service: the newest migration key
	TagBehind      = "deploy:behind"   // on the service: the newest asks that a breaking migration left behind
	TagCount       = "deploy:count"    // on the service: how often these tags were written; a record that counted fewer is an older copy
	TagHold        = "deploy:hold"     // on the service, by a person: <owner>/<until>
)
