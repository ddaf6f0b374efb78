package rollout

import (
	"cmp"
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
	return Evidence{Class: stop.Class, Check: checkMigration, Reason: stop.Reason, Message: "the migration could not be started: " + stop.Message}
}

// failMigrationUnasked is the failure of a migration that ECS never took: its trouble was waited out long enough.
func failMigrationUnasked(deadline time.Duration, trouble Trouble) Evidence {
	return Evidence{Class: observed.ClassInfrastructure, Check: checkMigration, Reason: ReasonMigrationNotStarted,
		Message: fmt.Sprintf("ECS did not take the migration within the deadline of %s: %s", lasting(deadline), trouble.Message)}
}

func failRefused(deed, message string) Evidence {
	return Evidence{Class: observed.ClassInfrastructure, Check: checkRequest, Reason: ReasonRefused, Message: fmt.Sprintf("the account refused to %s: %s", deed, message)}
}

// failDeployedBy is the failure of a rollout that ECS would refuse, or make in a way that nobody here can judge, before anything of it
// is done: of two colours two versions run at full count, and the load balancer's targets are those of one of two groups.
func failDeployedBy(by string) Evidence {
	message := fmt.Sprintf("the service's deployment controller is %s, which it keeps for life, and only what ECS itself deploys can be rolled; create a service with deployment controller ECS beside it", by)
	switch by {
	case "BLUE_GREEN", "LINEAR", "CANARY":
		message = fmt.Sprintf("the service's deployment strategy is %s, and only ROLLING deployments can be followed and put back; set it to ROLLING", by)
	case "DAEMON":
		message = "the service is a DAEMON, which has no count to be rolled at; create a REPLICA service beside it"
	}
	return Evidence{Class: observed.ClassBlocked, Check: checkRequest, Reason: fault.ReasonRequestRefused, Message: message}
}

// failUnasked is the failure of a rollout whose request never came through; trouble is the newest refusal, if there is one.
func failUnasked(deadline time.Duration, trouble *Trouble) Evidence {
	e := Evidence{Class: observed.ClassInfrastructure, Check: checkRequest, Reason: ReasonDeadline, Message: fmt.Sprintf("ECS did not take the request within the deadline of %s", lasting(deadline))}
	if trouble != nil {
		e.Reason = fault.Reason(fault.Kind(trouble.Kind), trouble.Code)
		e.Message += ": " + trouble.Message
	}
	if trouble != nil && trouble.Kind == string(fault.Blocked) {
		e.Class = observed.ClassBlocked
	}
	return e
}

func failRolledBack(reason string) Evidence {
	message := "ECS rolled the deployment back"
	if reason != "" {
		message += ": " + reason
	}
	return Evidence{Class: observed.ClassProduct, Check: CheckSteady, Reason: ReasonRolledBack, Message: message}
}

// failContested is nobody's verdict on the version: somebody else deploys whenever the controller does.
func failContested(times int) Evidence {
	return Evidence{Class: observed.ClassInfrastructure, Check: CheckSteady, Reason: ReasonContested,
		Message: fmt.Sprintf("somebody else took its place before it had a verdict, %d times in a row", times)}
}

// failLate is the failure of a deployment that did not complete within its deadline: nothing condemns the ask.
// Where the check knows what held it up, that is the reason.
func failLate(deadline time.Duration, steady observed.Reading) Evidence {
	class, reason := unanswerable(steady, ReasonDeadline)
	return Evidence{Class: class, Check: CheckSteady, Reason: reason, Message: fmt.Sprintf("it did not complete within its deadline of %s: %s", lasting(deadline), cmp.Or(steady.Detail, "nothing was heard of the deployment"))}
}

func failNoData(r observed.Reading) Evidence {
	class, reason := unanswerable(r, ReasonNoData)
	return Evidence{Class: class, Check: r.Check, Reason: reason, Message: fmt.Sprintf("the check %s gave no answer within the deadline: %s", r.Check, r.Detail)}
}

// unanswerable says whose trouble it is that there was no answer: blocked where the check knows that somebody must provide
// something for it to have one, else the infrastructure's. It never condemns the ask.
func unanswerable(r observed.Reading, otherwise string) (observed.Class, string) {
	switch r.Class {
	case "":
		return observed.ClassInfrastructure, otherwise
	case observed.ClassBlocked:
		return r.Class, cmp.Or(r.Reason, otherwise)
	}
	return observed.ClassInfrastructure, cmp.Or(r.Reason, otherwise)
}
