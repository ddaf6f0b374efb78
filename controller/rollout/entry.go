package rollout

import (
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// Entry is one finished rollout in the history.
type Entry struct {
	Service   string         `json:"service"`
	Number    int            `json:"number"`
	Kind      Kind           `json:"kind"`
	Trigger   Trigger        `json:"trigger"`
	Ask       string         `json:"ask"`
	Commit    desired.Commit `json:"commit"`
	Images    []string       `json:"images,omitempty"`  // container:tag, in order of container
	Digests   []string       `json:"digests,omitempty"` // of the images, in the same order
	Built     []string       `json:"built,omitempty"`   // the commits that the images tell they were built of, in the same order; empty where one tells none
	Revision  string         `json:"revision,omitempty"`
	Result    Result         `json:"result"`
	Message   string         `json:"message"`
	StartedAt time.Time      `json:"startedAt"`
	EndedAt   time.Time      `json:"endedAt"`
	Spans     []Span         `json:"spans,omitempty"`
	Migration string         `json:"migration,omitempty"` // succeeded, failed, timeout, already applied; empty without one
	Evidence  *Evidence      `json:"evidence,omitempty"`

	Deployment string             `json:"deployment,omitempty"` // ECS's, that was followed
	Task       string             `json:"task,omitempty"`       // the migration's, of the newest attempt
	Output     []string           `json:"output,omitempty"`     // the last lines of a migration that succeeded; redacted
	BakeFrom   time.Time          `json:"bakeFrom,omitzero"`    // since when every check passed
	Readings   []observed.Reading `json:"readings,omitempty"`   // the last ones of the followed deployment
}

// Result is how a rollout ended.
type Result string

// The results.
const (
	ResultSucceeded    Result = "succeeded"
	ResultRejected     Result = "rejected"      // failed by its own fault; the ask is refused from now on
	ResultReverted     Result = "reverted"      // a revert that came true
	ResultRestored     Result = "restored"      // a change by somebody else was put right
	ResultRevertFailed Result = "revert_failed" // the revert did not come true: a person is needed
	ResultBlocked      Result = "blocked"       // something outside git was missing
	ResultStalled      Result = "stalled"       // could not be judged within its deadline
	ResultSuperseded   Result = "superseded"    // a newer ask, or somebody else's deployment, took its place
)

// Evidence is why a rollout failed, captured before the revert destroys it.
type Evidence struct {
	At      time.Time      `json:"at"`
	Class   observed.Class `json:"class,omitempty"`
	Check   string         `json:"check"`
	Reason  string         `json:"reason"`
	Message string         `json:"message"`

	Complete bool             `json:"complete"`
	Tasks    []TaskEvidence   `json:"tasks,omitempty"`
	Targets  []string         `json:"targets,omitempty"`
	Events   []string         `json:"events,omitempty"`
	Alarms   []observed.Alarm `json:"alarms,omitempty"`
	Log      []string         `json:"log,omitempty"` // the lines that a check points at, then the last ones; redacted
}

// TaskEvidence is one stopped task.
type TaskEvidence struct {
	Task       string         `json:"task"`
	StopCode   string         `json:"stopCode"`
	Reason     string         `json:"reason"`
	ExitCodes  map[string]int `json:"exitCodes,omitempty"`
	Containers []string       `json:"containers,omitempty"` // reasons by container
}

// The bounds of what evidence keeps.
const (
	evidenceTasksMax   = 5
	evidenceTargetsMax = 10
	evidenceEventsMax  = 10
	evidenceLinesMax   = 50
	evidenceShownMax   = 3 // lines that a check points at; they stand before the last ones
	evidenceLineMax    = 1000

	outputLinesMax = 20 // of a migration that succeeded: the record carries them until the rollout ends
)
