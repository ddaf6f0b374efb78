package rollout

import (
	"fmt"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// The failures that the reasoning itself finds; those of the checks are readings. Only these functions make one, so that
// they are all there are; docs/sentences.md lists them.

func failMigrationExited(code int) Evidence {
	return Evidence{Class: observed.ClassProduct, Check: checkMigration, Reason: ReasonMigrationFailed, Message: fmt.Sprintf("the migration exited with code %d", code)}
}

func failMigrationTimeout(timeout time.Duration) Evidence {
	return Evidence{Class: observed.ClassProduct, Check: checkMigration, Reason: ReasonMigrationTimeout,
		Message: fmt.Sprintf("the migration took longer than its timeout of %s and was stopped", lasting(timeout))}
}

func failMigrationAssumed() Evidence {
	return Evidence{Class: observed.ClassProduct, Check: checkMigration, Reason: ReasonMigrationFailed, Message: "the migration's outcome was lost, and git says that it failed"}
}

func failMigrationLost(how string) Evidence {
	return Evidence{Class: observed.ClassInfrastructure, Check: checkMigration, Reason: ReasonMigrationLost, Message: "the outcome of the migration is not known: " + how}
}

// failMigrationNotStarted is nobody's verdict on the version: no code of its ran.
func failMigrationNotStarted(stop Stop) Evidence {
	if stop.Class == observed.ClassProduct {
		stop.Class = observed.ClassBlocked
	}
	return Evidence{Class: stop.Class, Check: checkMigration, Reason: ReasonMigrationNotStarted, Message: "the migration could not be started: " + stop.Message}
}

// failMigrationUnasked is the failure of a migration that ECS never took: its trouble was waited out long enough.
func failMigrationUnasked(deadline time.Duration, trouble Trouble) Evidence {
	return Evidence{Class: observed.ClassInfrastructure, Check: checkMigration, Reason: ReasonMigrationNotStarted,
		Message: fmt.Sprintf("ECS did not take the migration within the deadline of %s: %s", lasting(deadline), trouble.Message)}
}

func failRefused(deed, message string) Evidence {
	return Evidence{Class: observed.ClassInfrastructure, Check: checkRequest, Reason: ReasonRefused, Message: fmt.Sprintf("the account refused to %s: %s", deed, message)}
}

// failUnasked is the failure of a rollout whose request never came through; trouble is the newest refusal, if there is one.
func failUnasked(deadline time.Duration, trouble *Trouble) Evidence {
	message, class := fmt.Sprintf("ECS did not take the request within the deadline of %s", lasting(deadline)), observed.ClassInfrastructure
	if trouble != nil {
		message += ": " + trouble.Message
		if trouble.Kind == string(fault.Blocked) { // it is tried again by itself, like anything that is missing
			class = observed.ClassBlocked
		}
	}
	return Evidence{Class: class, Check: checkRequest, Reason: ReasonDeadline, Message: message}
}

func failRolledBack(reason string) Evidence {
	message := "ECS rolled the deployment back"
	if reason != "" {
		message += ": " + reason
	}
	return Evidence{Class: observed.ClassProduct, Check: CheckSteady, Reason: ReasonRolledBack, Message: message}
}

// failLate is the failure of a deployment that did not complete within its deadline: nothing condemns the ask.
func failLate(deadline time.Duration, detail string) Evidence {
	if detail == "" {
		detail = "nothing was heard of the deployment"
	}
	return Evidence{Class: observed.ClassInfrastructure, Check: CheckSteady, Reason: ReasonDeadline,
		Message: fmt.Sprintf("it did not complete within its deadline of %s: %s", lasting(deadline), detail)}
}

func failNoData(check, detail string) Evidence {
	return Evidence{Class: observed.ClassInfrastructure, Check: check, Reason: ReasonNoData, Message: fmt.Sprintf("the check %s gave no answer within the deadline: %s", check, detail)}
}
