package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// Skip is why a rollout runs no migration.
type Skip string

// The reasons, in the order in which they are asked about. SkipNothing means that the migration runs.
const (
	SkipNothing Skip = ""
	SkipNone    Skip = "none" // git names none
	SkipKind    Skip = "kind" // a revert and a restore run none
	SkipDone    Skip = "done" // the same command, of the same image, succeeded before
	SkipGood    Skip = "good" // the ask was good here before
)

// SkipsMigration says whether the rollout in flight runs its target's migration, and why it does not. It is the answer of
// the time at which the migration would begin: one that has just run is done.
func (r Record) SkipsMigration() Skip {
	ro := r.Rollout
	switch {
	case ro == nil || ro.Target.Migration == nil:
		return SkipNone
	case ro.Kind != KindDeploy:
		return SkipKind
	case slices.Contains(r.Migrated, ro.Target.Key):
		return SkipDone
	case slices.Contains(r.GoodAsks, ro.Target.Ask):
		return SkipGood
	}
	return SkipNothing
}

// Digests are the digests of the target's images, in the order of Images.
func (t Target) Digests() []string {
	var out []string
	for _, c := range t.Containers.All() {
		out = append(out, c.Digest)
	}
	return out
}

// The sentences (Record.Said) that say what a service waits for, for whoever looks beyond the wait. A sentence of another
// name is either no wait, or one that only git or a person ends.
const (
	SaidStackBusy        = "StackBusy"
	SaidHeld             = "Held"
	SaidSuspended        = "Suspended"
	SaidWindow           = "Window"
	SaidDependency       = "Dependency"
	SaidCrowded          = "Crowded"
	SaidMassChange       = "MassChange"
	SaidManyMissing      = "ManyMissing"
	SaidLockTaken        = "LockTaken"
	SaidUnhealthyBefore  = "UnhealthyBefore"
	SaidNoWayBack        = "NoWayBack"
	SaidWayBackUnknown   = "WayBackUnknown"
	SaidScaledToZero     = "ScaledToZero"
	SaidBlocked          = "Blocked"
	SaidImageMissing     = "ImageMissing"
	SaidRegistrySilent   = "RegistrySilent"
	SaidDriftSeen        = "DriftSeen"
	SaidDriftLeft        = "DriftLeft"
	SaidDriftReported    = "DriftReported"
	SaidSecretUnreadable = "SecretUnreadable"
	SaidTakesOver        = "TakesOver"
	SaidMayNot           = "MayNot"
	SaidCouldNot         = "CouldNot"
	SaidWentBack         = "WentBack"
)

// HeldUntil is when what the record waits for ends by itself, zero where nobody knows.
func HeldUntil(now time.Time, policy desired.EnvironmentSpec, seen observed.Service, rec Record) time.Time {
	switch rec.Said {
	case SaidWindow:
		opens, _ := window(policy.Windows, now)
		return opens
	case SaidHeld:
		_, until, _ := holdTag(seen.Tags[TagHold])
		return until
	case SaidSuspended:
		if rec.Intent != nil && rec.Intent.Service.Spec.Suspend != nil {
			return rec.Intent.Service.Spec.Suspend.Until
		}
	case SaidBlocked:
		if rec.Blocked != nil {
			return rec.Blocked.Until
		}
	case SaidDriftSeen:
		if rec.Drift != nil {
			return rec.Drift.Since.Add(policy.Drift.After.Std())
		}
	}
	return time.Time{}
}

// Verdict is the rejection of what git asks now, nil where there is none or git has answered it.
func (r Record) Verdict(seen observed.Service) *Rejection {
	if r.Intent == nil {
		return nil
	}
	target, unknown := resolve(*r.Intent, seen.Stack.Outputs["RepoUri"], r.Pins)
	verdict := r.RejectionOf(target.Ask)
	if len(unknown) > 0 || verdict == nil || cleared(*verdict, *r.Intent) {
		return nil
	}
	return verdict
}

// Said is the name of the sentence that tells the stall (Record.Said).
func (s Stall) Said() string { return sayStalled(s).id }

// OnTemplate reports whether the good revision was rendered onto a template of the same content.
func (g Good) OnTemplate(t *observed.Template) bool {
	return t != nil && g.Fingerprint == fingerprint(g.Target.Ask, *t, g.Secrets)
}

// ClearedBy says in words what of git's would make the controller try a rejected ask again (see cleared).
func (r Rejection) ClearedBy(spec desired.ServiceSpec) []string {
	ways := []string{"another version, env, secret reference or migration command", fmt.Sprintf("spec.retry above %d", r.Retry)}
	if _, configured := spec.Verify.Checks[r.Check]; configured && !r.Inferred {
		ways = append(ways, "other parameters of spec.verify."+r.Check)
	}
	return ways
}
