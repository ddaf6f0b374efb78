package rollout

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
)

// Pause is why nothing new is begun in a whole environment. What is in flight goes on, reverts and emergencies too.
type Pause struct {
	Reason State  // StateMassChange or StateManyMissing
	Commit string // of a mass change: the commit that asks for it, in full
	Count  int    // services that would change, or that the account lacks
	Gone   int    // of those that would change: whose files are gone
	Of     int    // services that they are among
	Share  desired.Percent
	Counts bool // a confirmation was tried that names a smaller number
}

// Mass is what a snapshot comes to beside what was taken over before.
type Mass struct {
	Pause *Pause // nil where the snapshot may be taken over
	// Withheld are the services whose newest word waits for the end of the pause: those that would change, those whose files are
	// gone, and those that nobody met before.
	Withheld map[string]bool
}

// MassChange weighs a snapshot against the words that were taken over before, by service. It is a mass change where the services
// that would begin something else, or whose files are gone, are at least the policy's floor and more than its share of those
// before, and no commit confirms it. A service that nobody met before is no change of what runs; neither is a change that begins
// nothing, such as of a label or a deadline, nor one under an emergency: the last two are never withheld.
//
// known are ids of commits that a confirmation may name instead of a number, in full: whose snapshot is the one that waits.
func MassChange(now time.Time, before map[string]*desired.Service, after *desired.Snapshot, policy desired.MassChangePolicy, known []string) Mass {
	withheld := map[string]bool{}
	changed, gone := 0, 0
	for name, was := range before {
		next := after.Services[name]
		switch {
		case next == nil && len(after.Invalid[name]) > 0: // its last valid word counts
		case next == nil:
			gone++
			withheld[name] = true
		case next != was && weighs(was.Spec, next.Spec) && !next.Spec.Emergency.Active(now):
			changed++
			withheld[name] = true
		}
	}
	n, of := changed+gone, len(before)
	if !Exceeds(n, of, policy) {
		return Mass{}
	}
	pause := &Pause{Reason: StateMassChange, Commit: after.Commit.SHA, Count: n, Gone: gone, Of: of, Share: policy.OrDefaults().Share}
	for _, value := range after.Confirms {
		ok, counts := confirms(value, n, known)
		if ok {
			return Mass{}
		}
		pause.Counts = pause.Counts || counts
	}
	for name, next := range after.Services {
		if before[name] == nil && !next.Spec.Emergency.Active(now) {
			withheld[name] = true
		}
	}
	return Mass{Pause: pause, Withheld: withheld}
}

// Exceeds reports whether so many of the services at once are more than the policy lets pass.
func Exceeds(n, of int, policy desired.MassChangePolicy) bool {
	policy = policy.OrDefaults()
	return n >= policy.AtLeast && n*100 > int(policy.Share)*of
}

// commitMin is the shortest id of a commit: a number of services is shorter.
const commitMin = 7

// confirms reads one value of desired.ConfirmTrailer.
func confirms(value string, n int, known []string) (ok, counts bool) {
	if len(value) >= commitMin {
		return slices.ContainsFunc(known, func(sha string) bool { return strings.HasPrefix(sha, strings.ToLower(value)) }), false
	}
	number, err := strconv.Atoi(value)
	return err == nil && number >= n, err == nil
}

// weighs reports whether the second word would begin what the first did not: another version, another stack, another try, or what
// a suspension has held back.
func weighs(a, b desired.ServiceSpec) bool {
	if a.Stack != b.Stack || b.Retry > a.Retry || a.Suspend != nil && b.Suspend == nil {
		return true
	}
	return !maps.EqualFunc(a.Containers, b.Containers, func(x, y desired.Container) bool {
		return x.Image == y.Image && maps.Equal(x.Env, y.Env) && maps.Equal(x.Secrets, y.Secrets)
	}) || program(a.Migration) != program(b.Migration)
}

// program is what a migration runs, as one text.
func program(m *desired.Migration) string {
	if m == nil {
		return ""
	}
	text, _ := json.Marshal(append([]string{m.Container, string(m.Assume)}, m.Command...))
	return string(text)
}

// ManyMissing is the pause of an environment whose account lacks so many of the services that were good in it, nil where it lacks
// no such share: more likely the controller looks at the wrong place, or at less than it should, than that they are gone.
func ManyMissing(missing, of int, policy desired.MassChangePolicy) *Pause {
	if !Exceeds(missing, of, policy) {
		return nil
	}
	return &Pause{Reason: StateManyMissing, Count: missing, Of: of, Share: policy.OrDefaults().Share}
}

// Gone reports whether the account does not have the service, as far as the newest pass tells.
func (r Record) Gone() bool {
	if t := r.Trouble; t != nil {
		reason := fault.Reason(fault.Kind(t.Kind), t.Code)
		return reason == fault.ReasonClusterMissing || reason == fault.ReasonServiceMissing
	}
	return slices.Contains([]string{saidMissing, saidGoneInRollout, saidDraining}, r.Said)
}

// paused holds back what would begin under a pause.
func paused(in Input, rec Record) (Decision, bool) {
	p := in.Want.Pause
	if p == nil || rec.Intent.Service.Spec.Emergency.Active(in.Now) {
		return Decision{}, false
	}
	return wait(in, rec, sayPaused(*p), pausedUntil(in)), true
}

// pausedUntil is when to look again: git's next word wakes, the account does not.
func pausedUntil(in Input) time.Time {
	if in.Want.Pause.Reason == StateMassChange {
		return in.idleAt()
	}
	return in.watchAt()
}

// withheld tells that git's newest word waits, where a quiet service would say that nothing does.
func withheld(in Input, d Decision) Decision {
	if !in.Want.Withheld || in.Want.Pause == nil || d.Action != nil || d.Look != nil || d.again || d.Record.Rollout != nil {
		return d
	}
	switch d.Record.State {
	case StateSettled, StateReverted, StateStalled, StateWaitingTemplate, StateInvalid:
		d.Record = d.Record.tell(in.Now, sayPaused(*in.Want.Pause))
	}
	return d
}
