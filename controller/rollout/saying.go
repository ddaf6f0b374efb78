package rollout

import (
	"fmt"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// told is one sentence about a service, and what a person can do about it. Only the functions below make one, so that they
// are all there is to say; docs/sentences.md lists them.
type told struct {
	id    string // closed; stays when the words are mended
	state State  // empty: the state stays as it is
	why   string
	next  string // begins with "Nothing" where nobody need do anything
}

func (r Record) tell(now time.Time, t told) Record {
	if t.state != StateUnknown && r.State != t.state {
		r.State, r.Since = t.state, now
	}
	r.Said, r.Why, r.Next = t.id, t.why, t.next
	return r
}

const (
	nextByItself = "Nothing: it goes on by itself."
	nextVerdict  = "Nothing: the verdict comes by itself, and a newer commit takes its place."
	nextFix      = "Push a fix, or raise spec.retry to try it again."
	nextSchema   = "Push a version that fits the schema."
)

// What runs is what is to run.

func sayRuns(version string) told {
	return told{"Runs", StateSettled, fmt.Sprintf("Runs %s as git asks.", version), "Nothing to do."}
}

// sayRunsLocked: whoever shares the lock waits, and nothing of this service is to be done that would end it.
func sayRunsLocked(version, lock string) told {
	return told{"RunsLocked", StateSettled, fmt.Sprintf("Runs %s as git asks, and still holds the migration lock %s: nobody knows what became of an earlier migration.", version, lock),
		"See that it runs no more, then say what became of it: migration.assume: done, or failed."}
}

func sayRunsOnce(version, reason string) told {
	return told{"RunsOnce", StateSettled, fmt.Sprintf("Runs %s as git asks, but it could not be started again: %s", version, sentence(reason)),
		"Bring back what it lacks before one of its tasks has to be replaced. Until then no other version is begun, for want of a way back; spec.emergency begins one all the same."}
}

func sayRunsUnproven(version, message string) told {
	return told{"RunsUnproven", StateSettled, fmt.Sprintf("Runs %s as git asks. It could not be checked whether it could be started again: %s", version, sentence(message)),
		"Give the controller's role what it was denied. Until then no other version is begun, for want of a known way back; spec.emergency begins one all the same."}
}

func sayGood(version string) told {
	return told{saidGood, StateSettled, fmt.Sprintf("Runs %s: every check passed for the whole bake.", version), "Nothing to do."}
}

func sayReverted(good, rejected, message string) told {
	return told{"Reverted", StateReverted, fmt.Sprintf("Runs %s, the last good version; %s was rejected: %s", good, rejected, sentence(message)), nextFix}
}

func sayTemplateReported(version string) told {
	return told{"TemplateReported", StateWaitingTemplate, fmt.Sprintf("Runs %s as git asks. The infrastructure changed the template; the environment's policy is to report it only.", version),
		"Nothing must be done: it takes effect with the next change of git. To roll it now, set spec.templateChange of environment.yaml to roll."}
}

func saySecretsUnseen(version, message string) told {
	return told{"SecretsUnseen", StateSettled, fmt.Sprintf("Runs %s as git asks. Whether its secrets have new values could not be seen: %s", version, sentence(message)),
		"Nothing, if it passes: it is looked at again. Else give the controller's role secretsmanager:DescribeSecret and ssm:GetParameter for them."}
}

func saySecretUnreadable(version, message string) told {
	return told{"SecretUnreadable", StateBlocked, fmt.Sprintf("%s is to restart when a secret changes, and which version that has could not be seen: %s", version, sentence(message)),
		"Provide the secret, or give the controller's role secretsmanager:DescribeSecret and ssm:GetParameter for it."}
}

func sayReleased() told {
	return told{"Released", StateReleased, "Git no longer names this service: it is left as it is.", "Delete it in the infrastructure, or bring its file back."}
}

// Git asks for something that cannot be begun.

func sayNeverValid(invalid string) told {
	return told{"NeverValid", StateInvalid, "Its file has never been valid: " + sentence(invalid), "Mend the file; controller validate shows every error before a commit does."}
}

func sayRegistrySilent(message string) told {
	return told{"RegistrySilent", StateBlocked, "The image registry could not be asked: " + sentence(message), "Nothing, if it passes: it is asked again. Else give the controller's role ecr:DescribeImages."}
}

func sayImageMissing(repository, images string) told {
	return told{"ImageMissing", StateBlocked, fmt.Sprintf("The repository %s has no image %s yet. It is tried again as soon as it is pushed.", repository, images),
		"Check the pipeline that builds it."}
}

func sayTemplateMissing(stack string) told {
	return told{"TemplateMissing", StateBlocked, "The template task definition that the stack's output TaskTemplate names does not exist.", "Deploy the stack " + stack + "."}
}

func sayTemplateUnreadable(message string) told {
	return told{"TemplateUnreadable", StateBlocked, "The template task definition could not be read: " + sentence(message),
		"Nothing, if it passes: it is read again. Else give the controller's role ecs:DescribeTaskDefinition."}
}

// The sentences about a service that the account does not have.
const (
	saidDraining      = "Draining"
	saidMissing       = "Missing"
	saidGoneInRollout = "GoneInRollout"
)

func sayDraining() told {
	return told{saidDraining, StateBlocked, "The ECS service is being deleted (DRAINING).", "If that was not meant, let the infrastructure create it anew."}
}

func sayMissing(service string, status observed.Status, stack string) told {
	return told{saidMissing, StateBlocked, fmt.Sprintf("The ECS service %s does not exist (%s). The infrastructure creates services.", service, status),
		"Deploy its stack " + stack + "."}
}

func sayGoneInRollout(service string, status observed.Status) told {
	return told{saidGoneInRollout, StateBlocked, fmt.Sprintf("The ECS service %s is %s in the middle of a rollout; it goes on when the service is ACTIVE again.", service, status),
		"Let the infrastructure create it anew, or remove its file from git."}
}

func sayGoodUnreadable(message string) told {
	return told{"GoodUnreadable", StateBlocked, "The revision that the service's tags call good could not be read: " + sentence(message),
		"Nothing, if it passes: it is read again. If the revision is gone for good, remove the tag " + TagGood + " from the service: then no version counts as good."}
}

func sayServingUnreadable(message string) told {
	return told{"ServingUnreadable", StateBlocked, "Whether what serves is what was rejected, and is left as onFailure is freeze, could not be read: " + sentence(message),
		"Nothing, if it passes: it is read again. A new commit of another version is rolled all the same."}
}

func sayBlocked(message string) told {
	return told{"Blocked", StateBlocked, sentence(message) + " It is tried again by itself.", "Provide what is missing. A new commit or a raised spec.retry tries at once."}
}

func sayScaledToZero(version string) told {
	return told{"ScaledToZero", StateBlocked, fmt.Sprintf("The service is scaled to 0, so %s could not be verified. It is rolled out once the count is above 0.", version),
		"Scale the service up where that is meant."}
}

func sayNoWayBack(version, reason string) told {
	return told{"NoWayBack", StateBlocked, fmt.Sprintf("The last good version %s could not be started again: %s Nothing is begun without a way back.", version, sentence(reason)),
		"Bring back what it lacks: its image, its secret, or an active revision. spec.emergency begins all the same."}
}

func sayWayBackUnknown(message string) told {
	return told{"WayBackUnknown", StateBlocked, "It could not be checked whether the last good version could be started again: " + sentence(message),
		"Nothing, if it passes: it is checked again. Else give the controller's role what it was denied."}
}

// sayWentBack says which retry it takes: git has gone back, and its retry with it.
func sayWentBack(version string, retry int) told {
	return told{SaidWentBack, StateStalled, fmt.Sprintf("Git has returned to %s, which a breaking migration has left behind: it would meet a schema that it does not know.", version),
		nextSchema + fmt.Sprintf(" To roll it all the same, raise spec.retry to %d.", retry)}
}

func sayGoodLeftBehind(version string) told {
	return told{"GoodLeftBehind", StateStalled, fmt.Sprintf("The last good version %s was left behind by a breaking migration, so nothing is put back.", version), nextSchema}
}

func sayNoneGood(version, message string) told {
	return told{"NoneGood", StateStalled, fmt.Sprintf("%s was rejected (%s) and no version was ever good here.", version, strings.TrimSuffix(message, ".")), nextFix}
}

// sayStalled says why nothing more is tried until git says something else.
func sayStalled(s Stall) told {
	t := told{"Stalled", StateStalled, "Nothing more is tried: " + sentence(s.Message), nextFix}
	switch s.Reason {
	case ReasonMigrationLost:
		t.id, t.next = "StalledByLostMigration", "Look at the migration's log, then say what became of it: migration.assume: done, or failed."
	case ReasonRevertFailed:
		t.id, t.next = "StalledByRevert", "Push a fix, or mend the cause and force a new deployment of the last good revision in ECS."
	case ReasonTemplateRejected:
		t.id, t.next = "StalledByTemplate", "Mend the template, or raise spec.retry to try it again."
	case ReasonSecretRejected:
		t.id, t.next = "StalledBySecret", "Give the secret a value that works: that is tried by itself. To try this one again, raise spec.retry."
	case ReasonFrozen:
		t.id, t.next = "StalledByFreeze", "Look at what runs and decide: push a fix, revert the commit, or raise spec.retry."
	}
	return t
}

// What is done.

func sayRegisters(version string) told {
	return told{"Registers", StateRegistering, fmt.Sprintf("Registers a task definition for %s.", version), nextByItself}
}

func sayMigrates(version string) told {
	return told{"Migrates", StateMigrating, fmt.Sprintf("Runs the migration of %s.", version), nextByItself}
}

func sayMigrationRuns(version string) told {
	return told{"MigrationRuns", StateMigrating, fmt.Sprintf("The migration of %s is running.", version), nextByItself}
}

func sayMigrationUnseen(message string) told {
	return told{"MigrationUnseen", StateMigrating, "The migration task could not be looked at: " + sentence(message), nextByItself}
}

func sayMigrationTooLong(version string, timeout time.Duration) told {
	return told{"MigrationTooLong", StateMigrating, fmt.Sprintf("The migration of %s took longer than its timeout of %s and is being stopped.", version, lasting(timeout)), nextByItself}
}

func sayMigrationAgain(message string) told {
	return told{"MigrationAgain", StateMigrating, "The migration could not be started and is tried again: " + sentence(message), nextByItself}
}

func sayMigrationPauses(version string, until time.Time) told {
	return told{"MigrationPauses", StateMigrating, fmt.Sprintf("The migration of %s could not be started; it is tried again at %s.", version, until.UTC().Format("15:04:05 MST")), nextByItself}
}

func sayRolls(version string) told {
	return told{"Rolls", StateRolling, fmt.Sprintf("Rolls %s out.", version), nextVerdict}
}

func sayTakesOver(version string) told {
	return told{SaidTakesOver, StateBaking, fmt.Sprintf("Takes %s over: it runs already, as git asks, and is watched before it counts as good. Nothing is rolled.", version), nextVerdict}
}

func sayBakes(version string, until time.Time) told {
	return told{"Bakes", StateBaking, fmt.Sprintf("Watches %s until %s before it counts as good.", version, until.UTC().Format("15:04:05 MST")), nextVerdict}
}

func sayBakeWaits(version, check, detail string) told {
	return told{"BakeWaits", StateBaking, fmt.Sprintf("The bake of %s begins once the check %s passes: %s", version, check, sentence(detail)), nextVerdict}
}

func sayFails(version, message string) told {
	return told{"Fails", StateFailing, fmt.Sprintf("%s failed: %s", version, sentence(message)), "Nothing now: evidence is being collected, then the verdict follows."}
}

func sayReverts(version, cause string) told {
	return told{"Reverts", StateReverting, fmt.Sprintf("Puts the last good version %s back: %s", version, sentence(cause)), "Nothing for the service. Look at the evidence in the meantime, and push a fix."}
}

func sayRestores(version string) told {
	return told{"Restores", StateRestoring, fmt.Sprintf("Puts the last good version %s back, as git asks.", version), nextByItself}
}

func sayRestoresDrift(version string) told {
	return told{"RestoresDrift", StateRestoring, fmt.Sprintf("Puts the last good version %s back after a deployment that is not git's.", version),
		"Nothing. To keep the other version, commit it; to stop this, tag the service " + TagHold + "."}
}

func sayServesAgain(version string) told {
	return told{saidServesAgain, StateUnknown, fmt.Sprintf("%s serves again.", version), nextByItself}
}

func sayCountBack(count int) told {
	return told{"CountBack", StateReverting, fmt.Sprintf("Puts the count back to %d: no version was ever good here.", count), "Nothing for the service. Look at the evidence in the meantime, and push a fix."}
}

func saySuperseded(version, newer string) told {
	return told{"Superseded", StateUnknown, fmt.Sprintf("Leaves %s without a verdict: git asks for %s now.", version, newer), nextByItself}
}

// The ends whose verdict is still to be written down in the account, and the writing: a write that holds back what follows it.
const (
	saidGood        = "Good"
	saidServesAgain = "ServesAgain"
	saidWritesDown  = "WritesDown"
)

// sayWritesDown: in is StateWritingDown before anything is begun, and none where a rollout has its own.
func sayWritesDown(what string, in State) told {
	return told{saidWritesDown, in, fmt.Sprintf("Writes down %s where it survives the loss of the ledger.", what), nextByItself}
}

func sayMoves(stack string) told {
	return told{"Moves", StateUnknown, "Git names the stack " + stack + " now: nothing is in flight in the one before any more, and what it has is left as it is.", nextByItself}
}

func sayOlderLedger() told {
	return told{"OlderLedger", StateUnknown, "The ledger is an older copy than the service's tags: what they say of good, rejected, migrated and left-behind versions counts.", nextByItself}
}

func sayUnsound(version, why string) told {
	return told{"Unsound", StateUnknown, fmt.Sprintf("What the ledger says of the rollout of %s cannot be true (%s): it is given up, and the account shows what became of it.", version, why), nextByItself}
}

// Somebody else deployed.

func foreignWords(revision, good string) string {
	return fmt.Sprintf("Somebody else deployed %s; the last good version is %s.", revision, good)
}

func sayDriftReported(revision, good string) told {
	return told{"DriftReported", StateDrifted, foreignWords(revision, good) + " The environment's policy is to report it only.", "Commit what runs, or any other change: git's next word is rolled out."}
}

func sayDriftSeen(revision, good string, after time.Duration) told {
	return told{"DriftSeen", StateDrifted, fmt.Sprintf("%s It is put back %s after it was seen, unless git changes.", foreignWords(revision, good), lasting(after)),
		"To keep it, commit it. For more time, tag the service " + TagHold + "."}
}

func sayDriftLeft(revision, good, detail string) told {
	return told{"DriftLeft", StateDrifted, fmt.Sprintf("%s It is left alone while a check fails: %s", foreignWords(revision, good), sentence(detail)), "Mend what the check found; then it is put back, unless git changes."}
}

// Calls fail.

func sayCouldNot(deed, message string) told {
	return told{"CouldNot", StateUnknown, fmt.Sprintf("Could not %s: %s It is tried again by itself.", deed, sentence(message)), "Nothing, if it passes; else mend what the message names."}
}

func sayMayNot(deed, message string) told {
	return told{"MayNot", StateBlocked, fmt.Sprintf("May not %s: %s It is tried again by itself, and goes on once that is mended.", deed, sentence(message)),
		"Mend what the message names: most often a permission of the controller's role."}
}

// lasting is a length of time as people write it: 15m, not 15m0s.
func lasting(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// sentence ends a message as a sentence.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!") {
		return s
	}
	return s + "."
}
