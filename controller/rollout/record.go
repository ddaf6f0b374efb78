package rollout

import (
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// Schema is the version of Record. A ledger refuses a record of a newer schema, so that an older controller never acts on
// what it does not understand.
const Schema = 1

// The bounds of what a record remembers.
const (
	rejectionsMax = 20
	migratedMax   = 20
	goodAsksMax   = 50
	knownMax      = 20
)

// Record is what the controller remembers about one service between passes.
type Record struct {
	Schema     int32   `json:"schema"`
	Came       int32   `json:"came,omitempty"` // Generation when the service came into the stack that Intent names
	Service    string  `json:"service"`
	Version    uint64  `json:"version"`          // of the ledger's compare-and-swap
	Generation int     `json:"generation"`       // how many rollouts were ever begun; numbers and tokens derive from it
	Intent     *Intent `json:"intent,omitempty"` // the last valid word of git

	Rollout  *Rollout    `json:"rollout,omitempty"`  // in flight; nil when there is none
	Good     *Good       `json:"good,omitempty"`     // the last good revision
	Rejected []Rejection `json:"rejected,omitempty"` // newest first
	Migrated []string    `json:"migrated,omitempty"` // migration keys that succeeded, newest first
	GoodAsks []string    `json:"goodAsks,omitempty"` // asks that were good here, newest first
	Failed   []Failure   `json:"failed,omitempty"`   // fingerprints of good asks that failed on a new template, newest first
	Behind   []string    `json:"behind,omitempty"`   // asks that a breaking migration has left behind, newest first
	// BehindRetry is the highest retry that git has said of anything else since: a higher one rolls them all the same.
	BehindRetry int `json:"behindRetry,omitempty"`

	Lost       *Lost `json:"lost,omitempty"` // a migration whose outcome nobody knows
	*Unsettled       // nil for none

	Tagged *Tagged `json:"tagged,omitempty"` // the newest tags that were written
	Count  int     `json:"count,omitempty"`  // how often tags were written, this time included

	// Pins are the digests that tags had when they were first asked for. A tag that is moved later changes nothing.
	Pins  Words   `json:"pins,omitempty"`
	Known []Known `json:"known,omitempty"` // revisions that were registered, newest first

	// Deployed is the newest deployment that the controller asked for: any other is somebody else's.
	Deployed string `json:"deployed,omitempty"`

	Drift      *Drift   `json:"drift,omitempty"`   // a deployment that git did not ask for
	Blocked    *Hold    `json:"blocked,omitempty"` // something outside git is missing; tried again at Until
	Stalled    *Stall   `json:"stalled,omitempty"` // needs a person
	Trouble    *Trouble `json:"trouble,omitempty"` // the passes fail; nil after one that did not
	WayBack    *WayBack `json:"wayBack,omitempty"` // whether what runs could be started again
	Superseded int32    `json:"superseded,omitempty"`
	Overtaken  int32    `json:"overtaken,omitempty"` // deploys in a row whose place somebody else took

	// Queued is since when the service has waited for a place among those that roll at once: the order in which they get one.
	Queued time.Time `json:"queued,omitzero"`

	State State     `json:"state"`
	Said  string    `json:"said,omitempty"` // which sentence Why is: closed
	Why   string    `json:"why"`
	Next  string    `json:"next,omitempty"` // what a person can do
	Since time.Time `json:"since,omitzero"` // of State
}

// Intent is the last valid word of git about a service.
type Intent struct {
	Commit  desired.Commit  `json:"commit"`
	Service desired.Service `json:"service"`
}

// Target is what to run: an ask with every digest known.
type Target struct {
	Ask        string               `json:"ask"`
	Commit     desired.Commit       `json:"commit"`
	Containers Containers           `json:"containers,omitempty"`
	Migration  *desired.Migration   `json:"migration,omitempty"`
	Key        string               `json:"key,omitempty"` // migration key, empty without a migration
	Spec       *desired.ServiceSpec `json:"spec,omitempty"`
}

// Container is what is rendered onto one container of the template.
type Container struct {
	Image   string            `json:"image"` // repository@digest
	Tag     string            `json:"tag"`
	Digest  string            `json:"digest"`
	Env     map[string]string `json:"env,omitempty"`
	Secrets map[string]string `json:"secrets,omitempty"`
}

// Good is the last revision with verdict good.
type Good struct {
	Target      Target    `json:"target"`
	Fingerprint string    `json:"fingerprint"`
	Revision    string    `json:"revision"`
	At          time.Time `json:"at"`

	Secrets map[string]string `json:"secrets,omitempty"` // versions that the fingerprint has, by reference
}

// Rejection is the verdict rejected of one ask.
type Rejection struct {
	Ask      string    `json:"ask"`
	Commit   string    `json:"commit,omitempty"`
	At       time.Time `json:"at"`
	Retry    int       `json:"retry"` // the value of retry that was spent
	Check    string    `json:"check"`
	Checks   string    `json:"checks"` // hash of the check's parameters; a mended check clears the verdict
	Reason   string    `json:"reason"`
	Message  string    `json:"message"`
	Rollout  int       `json:"rollout"`
	Inferred bool      `json:"inferred,omitempty"` // read from the service's tags by a controller that had no ledger
}

// Failure is a fingerprint that failed although its ask was good before: the template's fault, so the ask is not condemned.
type Failure struct {
	Fingerprint string `json:"fingerprint"`
	Retry       int    `json:"retry"` // the value of retry that was spent
}

// Tagged are tags that were written. A read may show the service without them for a while.
type Tagged struct {
	Set Words     `json:"set"`
	At  time.Time `json:"at"`
}

// Known is a revision by its fingerprint.
type Known struct {
	Fingerprint string `json:"fingerprint"`
	Revision    string `json:"revision"`
}

// Drift is a deployment that git did not ask for.
type Drift struct {
	Since          time.Time `json:"since"`
	Deployment     string    `json:"deployment"`
	TaskDefinition string    `json:"taskDefinition"`
	Wanted         string    `json:"wanted"`          // git's ask when it was seen
	Stack          bool      `json:"stack,omitempty"` // CloudFormation's doing
}

// Hold is why an ask waits, and until when it is left alone.
type Hold struct {
	Ask      string    `json:"ask"`
	Reason   string    `json:"reason"`
	Message  string    `json:"message"`
	Attempts int       `json:"attempts"`
	Retry    int       `json:"retry,omitempty"` // git's: a higher one is not held up
	Until    time.Time `json:"until"`
}

// Stall is why nothing more will be tried until git says something else.
type Stall struct {
	Wanted      string    `json:"wanted"` // the ask of git at the time: another one is another try
	Ask         string    `json:"ask"`
	Fingerprint string    `json:"fingerprint"`
	Retry       int       `json:"retry"`
	Reason      string    `json:"reason"`
	Message     string    `json:"message"`
	At          time.Time `json:"at"`
	Rollout     int       `json:"rollout"`
	// Idempotent is what git said of a migration that was lost all the same: it was tried often enough.
	Idempotent bool `json:"idempotent,omitempty"`
	// Cause is what stalled the deploy whose revert failed: it stands again once the revert has come true after all.
	Cause *Stall `json:"cause,omitempty"`
}

// Trouble is a run of failed passes.
type Trouble struct {
	Since    time.Time `json:"since"`
	Kind     string    `json:"kind"`
	Code     string    `json:"code,omitempty"`
	Message  string    `json:"message"`
	Attempts int       `json:"attempts"`
	NextAt   time.Time `json:"nextAt"`
}

// Rollout is one way of a target into the account.
type Rollout struct {
	Number      int     `json:"number"` // the record's generation when it began
	Kind        Kind    `json:"kind"`
	Trigger     Trigger `json:"trigger"`
	Target      Target  `json:"target"`
	Fingerprint string  `json:"fingerprint"`
	Template    string  `json:"template"` // ARN of the template it is rendered onto

	Secrets map[string]string `json:"secrets,omitempty"` // versions that the fingerprint has, by reference

	Retry  int    `json:"retry"`
	Wanted string `json:"wanted,omitempty"` // git's ask when it began
	// TakesOver: it runs already, and was rolled out by somebody else; nothing is written for it.
	TakesOver bool `json:"takesOver,omitempty"`

	First  bool   `json:"first,omitempty"`  // nobody has scaled the service yet: no version was ever good in it
	Except string `json:"except,omitempty"` // a revision that serves and failed: a retry of it needs another one

	Stage     Stage     `json:"stage"`
	StartedAt time.Time `json:"startedAt"`
	StageAt   time.Time `json:"stageAt"`
	Deadline  time.Time `json:"deadline,omitzero"` // of the roll; set when it is asked for
	Spans     []Span    `json:"spans,omitempty"`   // stages that are over

	Registers  int         `json:"registers,omitempty"` // how often registration was asked for
	Revision   string      `json:"revision,omitempty"`
	AskedAt    time.Time   `json:"askedAt,omitzero"` // first request to ECS
	TriedAt    time.Time   `json:"triedAt,omitzero"` // newest request to ECS
	Migration  *Migration  `json:"migration,omitempty"`
	Deployment *Deployment `json:"deployment,omitempty"`
	CountWas   int         `json:"countWas"` // desired count before the first write

	Baseline  []observed.Alarm   `json:"baseline,omitempty"` // alarms as they were before the rollout; one that was seen OK since is OK
	Inherits  bool               `json:"inherits,omitempty"` // a version of ours without a good verdict served then: a red one may be its doing
	WatchedAt time.Time          `json:"watchedAt,omitzero"` // last look at the deployment
	BakeFrom  time.Time          `json:"bakeFrom,omitzero"`
	BakeUntil time.Time          `json:"bakeUntil,omitzero"`
	Readings  []observed.Reading `json:"readings,omitempty"` // the latest ones, when they last changed

	Failure *Evidence `json:"failure,omitempty"` // why it failed; the revert begins once this is complete
}

// Span is the time that one stage took.
type Span struct {
	Stage Stage     `json:"stage"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// Migration is the one-off task of a rollout.
type Migration struct {
	Key         string    `json:"key"`
	Lock        string    `json:"lock"`
	Attempt     int       `json:"attempt"`
	Token       string    `json:"token"` // RunTask's client token: a repeat of the request is the same task
	Requests    int       `json:"requests"`
	AskedAt     time.Time `json:"askedAt,omitzero"`     // first request of the first attempt
	RequestedAt time.Time `json:"requestedAt"`          // newest request
	Refused     bool      `json:"refused,omitempty"`    // the newest request surely had no effect
	UnsureSince time.Time `json:"unsureSince,omitzero"` // first request whose answer never came
	StartedAt   time.Time `json:"startedAt,omitzero"`   // when ECS answered with the task
	Deadline    time.Time `json:"deadline,omitzero"`
	Task        string    `json:"task,omitempty"`
	Seen        bool      `json:"seen,omitempty"`
	Repeats     bool      `json:"repeats,omitempty"`  // a try before it may have run the program: only while git says that this does no harm
	Stopping    bool      `json:"stopping,omitempty"` // StopTask was asked for because of the deadline
	NotBefore   time.Time `json:"notBefore,omitzero"` // of the next attempt
	Log         []string  `json:"log,omitempty"`      // the last lines of one that succeeded; redacted
}

// Deployment is the ECS deployment that a rollout follows.
type Deployment struct {
	Before      string    `json:"before"` // PRIMARY's id when UpdateService was asked for
	RequestedAt time.Time `json:"requestedAt"`
	Tries       int       `json:"tries"`
	ID          string    `json:"id,omitempty"`     // as UpdateService answered, or so adopted
	Listed      bool      `json:"listed,omitempty"` // ECS has listed it
	GoneSince   time.Time `json:"goneSince,omitzero"`
	Record      string    `json:"record,omitempty"`
}

// HoldsLock names the migration lock that the service holds, empty when none. The ledger keeps the table of locks in
// step with it, in the same transaction that saves the record.
func (r Record) HoldsLock() string {
	if r.Lost != nil {
		return r.Lost.Lock
	}
	if r.Rollout == nil || r.Rollout.Migration == nil || r.Rollout.Stage != StageMigrate {
		return ""
	}
	return r.Rollout.Migration.Lock
}

// RevisionOf returns the known revision with the fingerprint, empty when there is none.
func (r Record) RevisionOf(fingerprint string) string {
	for _, k := range r.Known {
		if k.Fingerprint == fingerprint {
			return k.Revision
		}
	}
	return ""
}

// RejectionOf returns the verdict against the ask, nil when there is none.
func (r Record) RejectionOf(ask string) *Rejection {
	for i := range r.Rejected {
		if r.Rejected[i].Ask == ask {
			return &r.Rejected[i]
		}
	}
	return nil
}
