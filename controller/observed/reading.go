package observed

import "time"

// Reading is one look of one check at one deployment. It names the deployment that it is about, so that an old revision's
// failure cannot condemn a new one.
type Reading struct {
	Check      string    `json:"check"`
	Deployment string    `json:"deployment"`
	At         time.Time `json:"at"`
	Verdict    Verdict   `json:"verdict"`
	Class      Class     `json:"class,omitempty"` // of a failure, or of what there is no answer for want of
	Reason     string    `json:"reason,omitempty"`
	Detail     string    `json:"detail"` // a sentence for people
	// Value is what was counted and Threshold what it had to be, in words; both are empty where nothing was.
	Value     string `json:"value,omitempty"`
	Threshold string `json:"threshold,omitempty"`
	// Behind is how old what it was read from is: it says nothing of what has happened since.
	Behind time.Duration `json:"-"`
	// Lines are application log lines that show it. They go into evidence only, redacted, and nowhere else.
	Lines []string `json:"-"`
}

// Verdict is what a check says now.
type Verdict string

// The verdicts. NoData is neither: it holds a verdict back until the deadline.
const (
	Pass   Verdict = "pass"
	Fail   Verdict = "fail"
	NoData Verdict = "no data"
)

// Class tells trouble apart: only trouble of the product condemns an ask.
type Class string

// The classes of trouble.
const (
	// ClassProduct is a fault of what was deployed: revert, reject.
	ClassProduct Class = "product"
	// ClassBlocked is something that must come from outside (secret, role, log group, image): restore, do not reject, try again.
	ClassBlocked Class = "blocked"
	// ClassInfrastructure is the account's trouble (capacity, network, throttling): wait it out, stall at the deadline.
	ClassInfrastructure Class = "infrastructure"
)
