// Package desired is what git asks for: the files of one environment's folder, strictly parsed, defaulted and validated,
// each error with its file, line and column. It does no I/O beyond reading the fs.FS it is given.
package desired

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// APIVersion is the only version of the file format.
const APIVersion = "deploy/v1"

// The kinds of file in an environment's folder.
const (
	KindService     = "Service"
	KindEnvironment = "Environment"
)

// EnvironmentFile is the name of the one file of kind Environment in an environment's folder.
const EnvironmentFile = "environment.yaml"

// Commit is the commit a snapshot was read from, for people and for tags.
type Commit struct {
	SHA     string    `json:"sha"`
	Author  string    `json:"author,omitempty"`
	Subject string    `json:"subject,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// Short is the commit's first seven characters, as people write it.
func (c Commit) Short() string {
	if len(c.SHA) > 7 {
		return c.SHA[:7]
	}
	return c.SHA
}

// Snapshot is everything that one commit asks of one environment.
type Snapshot struct {
	Commit      Commit
	Environment *Environment        // nil when environment.yaml is missing or invalid; then nothing may be written
	Services    map[string]*Service // valid services by name
	Invalid     map[string][]Error  // services whose file is invalid, by the name of the file without .yaml
	Errors      []Error             // every error of every file, in order of file, line, column
	Confirms    []string            // what its commits say under ConfirmTrailer
	Parents     []string            // ids of the commits before this one
}

// Metadata names an object.
type Metadata struct {
	// Name is the environment's or the service's name; a service's is also its file's, without .yaml.
	Name string `json:"name"`
	// Labels are free words for people and dashboards; nothing is decided by them.
	Labels map[string]string `json:"labels,omitempty"`
}

// Environment is desired/<env>/environment.yaml.
type Environment struct {
	// APIVersion is deploy/v1.
	APIVersion string `json:"apiVersion"`
	// Kind is Environment.
	Kind string `json:"kind"`
	// Metadata names the environment.
	Metadata Metadata `json:"metadata"`
	// Spec is what is asked of the environment.
	Spec EnvironmentSpec `json:"spec"`
}

// EnvironmentSpec says where the environment lives and which policies hold in it.
type EnvironmentSpec struct {
	// Account is the 12-digit AWS account. The controller refuses to work in any other.
	Account string `json:"account"`
	// Region is the AWS region, such as eu-central-1.
	Region string `json:"region"`
	// Windows are when new rollouts may start; none means always. Reverts never wait for one.
	Windows []Window `json:"windows,omitempty"`
	// MaxConcurrentRollouts limits how many services roll at once; 0 means no limit. Reverts do not count.
	MaxConcurrentRollouts int `json:"maxConcurrentRollouts,omitempty"`
	// MassChange says how much may change at once before somebody has to confirm it.
	MassChange MassChangePolicy `json:"massChange,omitzero"`
	// Drift says what happens to a deployment that git did not ask for.
	Drift DriftPolicy `json:"drift,omitzero"`
	// TemplateChange says what a changed template does to a service whose ask has not changed: roll or report.
	TemplateChange TemplatePolicy `json:"templateChange,omitempty"`
	// Defaults are taken by services that do not say otherwise.
	Defaults Defaults `json:"defaults,omitzero"`
}

// Window is a weekly span in which new rollouts may start.
type Window struct {
	// Days are mon, tue, wed, thu, fri, sat, sun.
	Days []string `json:"days"`
	// From is the span's beginning in hours and minutes, such as 09:00, inclusive.
	From string `json:"from"`
	// To is the span's end, exclusive. An end that is not after From is on the next day: 22:00 to 02:00 is over midnight, and 00:00
	// to 00:00 is the whole day.
	To string `json:"to"`
	// Timezone is an IANA name such as Europe/Berlin, UTC by default.
	Timezone string `json:"timezone,omitempty"`
}

// MassChangePolicy is when a change is so large that it has to be confirmed, and when so much is missing from the account that nothing
// new is begun. Both Share and AtLeast must be passed.
type MassChangePolicy struct {
	// Share is the share of the environment's services that may change at once; 100% turns the pause off. Default 50%.
	Share Percent `json:"share,omitempty"`
	// AtLeast is how many services must change at once before the share is looked at. Default 10.
	AtLeast int `json:"atLeast,omitempty"`
}

// OrDefaults is the policy with the built-in defaults for what it does not say.
func (p MassChangePolicy) OrDefaults() MassChangePolicy {
	orElse(&p.Share, DefaultMassShare)
	orElse(&p.AtLeast, DefaultMassAtLeast)
	return p
}

// Percent is a share in hundredths, written as 50%.
type Percent int

// String is the share as people write it.
func (p Percent) String() string { return strconv.Itoa(int(p)) + "%" }

// DriftPolicy is what happens to a change made by hand.
type DriftPolicy struct {
	// After is how long a foreign deployment is only told before it is corrected. Default 5m.
	After Duration `json:"after,omitempty"`
	// Action is correct (default) or report.
	Action DriftAction `json:"action,omitempty"`
}

// DriftAction is what is done about drift.
type DriftAction string

// The drift actions.
const (
	DriftCorrect DriftAction = "correct"
	DriftReport  DriftAction = "report"
)

// Values are the allowed texts.
func (DriftAction) Values() []string { return []string{string(DriftCorrect), string(DriftReport)} }

// TemplatePolicy is what a changed template does.
type TemplatePolicy string

// The template policies.
const (
	TemplateRoll   TemplatePolicy = "roll"
	TemplateReport TemplatePolicy = "report"
)

// Values are the allowed texts.
func (TemplatePolicy) Values() []string {
	return []string{string(TemplateRoll), string(TemplateReport)}
}

// Defaults are the environment's defaults for its services.
type Defaults struct {
	// Bake is verify.bake of services that do not write it.
	Bake Duration `json:"bake,omitempty"`
	// Deadline is rollout.deadline of services that do not write it.
	Deadline Duration `json:"deadline,omitempty"`
	// OnFailure is onFailure of services that do not write it.
	OnFailure OnFailure `json:"onFailure,omitempty"`
}

// Service is desired/<env>/<service>.yaml, with every default filled in.
type Service struct {
	// APIVersion is deploy/v1.
	APIVersion string `json:"apiVersion"`
	// Kind is Service.
	Kind string `json:"kind"`
	// Metadata names the service.
	Metadata Metadata `json:"metadata"`
	// Spec is what is asked of the service.
	Spec ServiceSpec `json:"spec"`
}

// ServiceSpec is what is asked of one service.
type ServiceSpec struct {
	// Stack is the CloudFormation stack whose outputs name the repository, cluster, service, subnets, security group and template.
	Stack string `json:"stack"`
	// Containers are the containers of the template that git decides about, by container name.
	Containers map[string]Container `json:"containers"`
	// Migration is run as a one-off task before the service is rolled; absent means none.
	Migration *Migration `json:"migration,omitempty"`
	// Rollout is how the service is rolled: the strategy, its deadline and its own parameters.
	Rollout Rollout `json:"rollout,omitzero"`
	// Verify is how a rollout is judged: the bake and the checks, each with its parameters.
	Verify Verify `json:"verify,omitzero"`
	// OnFailure is what happens when verification fails: the last good revision comes back (revert), or nothing is touched until a
	// person has looked (freeze).
	OnFailure OnFailure `json:"onFailure,omitempty"`
	// OnSecretChange is what a new value of a referenced secret does: ignore (default: tasks that start later read it), or restart.
	OnSecretChange SecretPolicy `json:"onSecretChange,omitempty"`
	// Retry, when raised, asks once more for an ask that was rejected.
	Retry int `json:"retry,omitempty"`
	// DependsOn are services that must have settled on the same commit before this one starts.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Emergency rolls although an alarm is red, or although the last good version could not be started again.
	Emergency *Override `json:"emergency,omitempty"`
	// Suspend starts nothing new.
	Suspend *Override `json:"suspend,omitempty"`
}

// Container is what git says of one container: image, plain environment and references to secrets.
type Container struct {
	// Image is the image that CI pushed.
	Image Image `json:"image"`
	// Env are plain values by name; never a secret.
	Env map[string]string `json:"env,omitempty"`
	// Secrets are references by name: secretsmanager:<name>[:<json key>], ssm:<name>, or a full ARN. Never values.
	Secrets map[string]string `json:"secrets,omitempty"`
}

// Image is a tag in the stack's repository, with its digest where it is known.
type Image struct {
	// Tag is the short git SHA under which CI pushed the image; a tag that moves is refused.
	Tag string `json:"tag"`
	// Digest is what the registry answered to the push: the same bytes for ever. Without one the tag is resolved before anything
	// is registered.
	Digest string `json:"digest,omitempty"`
}

// Compatibility says whether the version before can run against the migrated schema.
type Compatibility string

// The compatibilities of a migration.
const (
	CompatibilityBackward Compatibility = "backward"
	CompatibilityBreaking Compatibility = "breaking"
)

// Values are the allowed texts.
func (Compatibility) Values() []string {
	return []string{string(CompatibilityBackward), string(CompatibilityBreaking)}
}

// Migration is the one-off task that runs before the service is rolled.
type Migration struct {
	// Container is the container whose image and environment the task runs with; one of spec.containers.
	Container string `json:"container"`
	// Command is run instead of the container's own, one word an item.
	Command []string `json:"command"`
	// Timeout is how long the task may take before it is stopped. Default 10m.
	Timeout Duration `json:"timeout,omitempty"`
	// Lock names what the migration changes; one migration per lock runs at a time. Default: the service's name.
	Lock string `json:"lock,omitempty"`
	// Idempotent allows a migration whose outcome was lost to be run again.
	Idempotent bool `json:"idempotent,omitempty"`
	// Compatibility is backward by default.
	Compatibility Compatibility `json:"compatibility,omitempty"`
	// Assume settles a migration whose outcome was lost: done or failed.
	Assume Assumption `json:"assume,omitempty"`
}

// Assumption is what git says of a migration whose outcome was lost.
type Assumption string

// The assumptions.
const (
	AssumeDone   Assumption = "done"
	AssumeFailed Assumption = "failed"
)

// Values are the allowed texts.
func (Assumption) Values() []string { return []string{string(AssumeDone), string(AssumeFailed)} }

// Rollout is how the service is rolled. Params holds every member but strategy and deadline, for the strategy to read.
type Rollout struct {
	// Strategy is rolling by default.
	Strategy string
	// Deadline is how long the roll may take, bake excluded. Default 15m.
	Deadline Duration
	Params   json.RawMessage
}

// Verify is how a rollout is judged. Checks holds every member but bake, by the name of the check.
type Verify struct {
	// Bake is how long every check must pass once the rollout completed. Default 2m, at least 10s.
	Bake   Duration
	Checks map[string]json.RawMessage
}

// OnFailure is what happens when verification fails.
type OnFailure string

// The answers to a failed verification.
const (
	OnFailureRevert OnFailure = "revert"
	OnFailureFreeze OnFailure = "freeze"
)

// Values are the allowed texts.
func (OnFailure) Values() []string { return []string{string(OnFailureRevert), string(OnFailureFreeze)} }

// SecretPolicy is what a new value of a secret does.
type SecretPolicy string

// The secret policies. The empty one is ignore.
const (
	SecretIgnore  SecretPolicy = "ignore"
	SecretRestart SecretPolicy = "restart"
)

// Values are the allowed texts.
func (SecretPolicy) Values() []string { return []string{string(SecretIgnore), string(SecretRestart)} }

// Override is an exception with an owner, a reason and an end.
type Override struct {
	// Reason says why, for whoever finds it.
	Reason string `json:"reason"`
	// Owner answers for it: a person, team or ticket.
	Owner string `json:"owner"`
	// Until is when it ends by itself, with its zone: 2027-01-31T00:00:00Z.
	Until time.Time `json:"until"`
}

// Active reports whether the override is in force at the given time. A nil override never is.
func (o *Override) Active(now time.Time) bool { return o != nil && now.Before(o.Until) }

// Duration is a time.Duration written as in Go: 90s, 10m, 1h30m.
type Duration time.Duration

// Std is the duration as the standard library's.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is the duration as people write it: 15m, not 15m0s.
func (d Duration) String() string {
	s := d.Std().String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
