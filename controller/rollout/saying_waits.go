package rollout

import (
	"fmt"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
)

// The sentences about what waits, and for whom.

func sayStackBusy(stack, status string) told {
	return told{"StackBusy", StateWaitingStack, fmt.Sprintf("The stack %s is %s; nothing is written until the infrastructure is done.", stack, status), nextByItself}
}

func sayHeld(owner string, until time.Time) told {
	return told{"Held", StateHeld, fmt.Sprintf("Held by %s through the service's tag %s until %s; nothing is written.", owner, TagHold, stamp(until)), "Remove the tag to go on now."}
}

func saySuspended(owner string, until time.Time, reason string) told {
	return told{"Suspended", StateSuspended, fmt.Sprintf("Suspended by %s until %s: %s", owner, stamp(until), sentence(reason)), "Remove spec.suspend to go on now."}
}

func sayWindow(version string, opens time.Time) told {
	return told{"Window", StateWaitingWindow, fmt.Sprintf("%s waits for the change window that opens %s.", version, stamp(opens)),
		"Nothing must be done. If it cannot wait, change spec.windows of environment.yaml."}
}

func sayDependency(version string, services ...string) told {
	have := "has"
	if len(services) > 1 {
		have = "have"
	}
	return told{"Dependency", StateWaitingDependency, fmt.Sprintf("%s waits for %s, which %s not settled yet.", version, strings.Join(services, ", "), have), "Look there: this one goes on by itself."}
}

func sayCrowded(version string, limit int) told {
	return told{"Crowded", StateWaitingConcurrent, fmt.Sprintf("%s waits: the environment lets %d roll at once.", version, limit), nextByItself}
}

func sayPaused(p Pause) told {
	if p.Reason == StateManyMissing {
		return told{SaidManyMissing, StateManyMissing, fmt.Sprintf("The account lacks %d of %d services that ran in it, more than %s at once: nothing new is begun.", p.Count, p.Of, p.Share),
			"Find out why: another cluster, a role that sees less, a stack that was deleted. Where they are meant to be gone, remove their files, or change spec.massChange of environment.yaml."}
	}
	who, or := "This changes", ""
	if p.Commit != "" {
		who, or = "Commit "+short7(p.Commit)+" changes", " (or "+short7(p.Commit)+")"
	}
	gone := ""
	if p.Gone > 0 {
		gone = fmt.Sprintf(" (the files of %d are gone)", p.Gone)
	}
	few := ""
	if p.Counts {
		few = ", and the number that was confirmed is smaller"
	}
	return told{SaidMassChange, StateMassChange, fmt.Sprintf("%s %d of %d services at once%s, more than %s%s: it is not taken over, and nothing new is begun.", who, p.Count, p.Of, gone, p.Share, few),
		fmt.Sprintf("If that is meant, commit with the trailer %s: %d%s at the end of the message; else revert the commit.", desired.ConfirmTrailer, p.Count, or)}
}

func short7(sha string) string { return desired.Commit{SHA: sha}.Short() }

func sayLockTaken(version, lock, holder string) told {
	return told{"LockTaken", StateWaitingLock, fmt.Sprintf("%s waits for the migration lock %s, which %s holds.", version, lock, holder), "Nothing, unless " + holder + " is stalled, or says that it still holds it: then mend that first."}
}

// sayLockLost: a migration of this service's that was asked for may be running, for all that anybody knows.
func sayLockLost(version, lock string) told {
	return told{"LockLost", StateWaitingLock, fmt.Sprintf("%s waits for the migration lock %s: an earlier migration was asked for, nobody ever heard of it, and it may be running still.", version, lock),
		"See that it runs no more, then say what became of it: migration.assume: done, or failed."}
}

// sayLockUnknown: a migration of this service's has ended, nobody knows how, under another lock than the one that is wanted now.
func sayLockUnknown(version, lock string) told {
	return told{"LockUnknown", StateWaitingLock, fmt.Sprintf("%s waits because the service still holds the migration lock %s: nobody knows what became of an earlier migration.", version, lock),
		"Look at its log, then say what became of it: migration.assume: done, or failed."}
}

func sayUnhealthyBefore(version, detail string) told {
	return told{"UnhealthyBefore", StateWaitingHealth, fmt.Sprintf("%s waits because a check fails before anything is begun: %s", version, sentence(detail)),
		"Mend what the check found. spec.emergency rolls all the same."}
}
