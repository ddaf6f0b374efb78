package condition

import (
	"maps"
	"slices"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// ReasonOther stands for a word that this controller does not know, such as one in the record of another version of it.
const ReasonOther = "Other"

// steps are all reasons that a condition can have, and what a person can do about the ones that need somebody: the step that the
// record's sentence lacks, empty where nobody is needed or where the sentence says it. Reconciling and Synced also have the
// states as reasons, which need nothing. docs/reasons.md is written of it.
var steps = map[string]string{
	// Blocked: calls.
	fault.ReasonAccessDenied:       "Give the controller's role the permission that the message names.",
	fault.ReasonCredentialsRefused: "Give the controller valid credentials, and its machine the right time.",
	fault.ReasonClusterMissing:     "Deploy the stack that makes the cluster.",
	fault.ReasonServiceMissing:     "Deploy the stack that makes the service.",
	fault.ReasonServiceNotActive:   "Let the infrastructure create the service anew: it is being deleted, or was.",
	fault.ReasonTargetGroupMissing: "Deploy the stack that makes the target group.",
	fault.ReasonRepositoryMissing:  "Deploy the stack that makes the image repository, and let its output RepoUri name it.",
	fault.ReasonSecretMissing:      "Create the secret or parameter that the message names, or name another in git.",
	fault.ReasonStackMissing:       "Deploy the stack, or name another in spec.stack.",
	fault.ReasonStackIncomplete:    "Add the outputs that the message names to the stack.",
	fault.ReasonNamespaceMissing:   "Create the Cloud Map namespace, or take it out of the service's stack.",
	fault.ReasonPlatformUnusable:   "Let the service's stack name a platform version that fits the template.",
	fault.ReasonFeatureUnsupported: "Take out of the infrastructure what this region does not offer.",
	fault.ReasonQuotaReached:       "Have the quota raised, or free some of it: revisions that nothing runs can be deregistered and deleted.",
	fault.ReasonAccountBlocked:     "Ask AWS Support why the account is blocked.",
	fault.ReasonWrongAccount:       "Start the controller with a role of the environment's account.",
	fault.ReasonNotPlaceable:       "Mend the placement constraints or attributes that the message names.",
	fault.ReasonLogsUnreachable:    "Let the template's containers log with awslogs to this region, with a stream prefix.",
	fault.ReasonRequestRefused:     "Mend in the infrastructure what the message names.",

	// Blocked: tasks and targets.
	"ImageNotPullable":       "Push the image again, or let the execution role and the network reach its registry.",
	"RegistryDenied":         "Give the execution role the registry's permissions: ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer.",
	"LogGroupMissing":        "Create the log group, or let the execution role write to it.",
	"SecretUnavailable":      "Create the secret, the parameter or the key that the message names, or let the execution role read it.",
	"ResourceInitialization": "Mend what the message names: most often a file system, or a way to it.",
	"RoleUnusable":           "Create the role, or let ecs-tasks.amazonaws.com assume it.",
	"SidecarFailed":          "Mend what AWS puts into the tasks: the service's Service Connect configuration, or GuardDuty's agent.",
	"TargetsUnused":          "Let a listener forward to the target group, in the zones that the tasks run in.",

	// Blocked: what cannot be begun. The sentences say what to do.
	"RegistrySilent": "", "ImageMissing": "", "TemplateMissing": "", "TemplateUnreadable": "", "Draining": "", "GoneInRollout": "",
	"GoodUnreadable": "", "ServingUnreadable": "", "NoWayBack": "", "WayBackUnknown": "", "SecretUnreadable": "",

	// Stalled, and what a check waits for.
	rollout.ReasonDeadline:            "Look at what ECS says of the service.",
	rollout.ReasonNoData:              "Find out why the check had no answer.",
	rollout.ReasonRefused:             "Change what the message names: in git, or in the template, which begins a new try by itself.",
	rollout.ReasonMigrationNotStarted: "Find out why ECS did not start the migration's task: capacity, a quota.",
	rollout.ReasonContested:           "Find who else deploys this service, and stop one of both.",
	fault.ReasonInvalid:               "Change what the message names.",
	fault.ReasonThrottled:             "Find who uses up the account's requests, or have its limits raised.",
	fault.ReasonConflict:              "Find who else writes.",
	fault.ReasonNotFound:              "Provide what the message names.",
	fault.ReasonAnswerLost:            "Look at the network between controller and AWS.",
	fault.ReasonCallFails:             "Look at AWS's health, and at the network between controller and AWS.",
	"TasksNotPlaced":                  "Find out why ECS starts no tasks: capacity, a quota of the account, or percentages that let nothing start.",
	"TasksNotStarting":                "Find out why tasks do not come to run: a large image, an agent that hangs.",
	"TargetsUnhealthy":                "Mend what the health check finds, or shorten the service's grace period, which keeps it hidden.",
	"TargetsUnavailable":              "Turn the target group's health check on.",
	"HealthUnknown":                   "Mend the container's health check in the template: it has no answer.",
	"OldTasksRemain":                  "Find out why ECS does not stop the tasks of before: most often their scale-in protection.",
	"AlarmMissing":                    "Create the alarm that the message names, or name another in git.",
	"DeploymentFailed":                "Look at what ECS says of the service.",
	"NetworkTimeout":                  "Find out why the network does not reach the registry: routes, endpoints, security groups.",
	"PullThrottled":                   "Pull through a registry of the account's own, or have the registry's limit raised.",
	"ProvisioningTimeout":             "Wait for AWS, and look at its health.",
	"NoFreeAddresses":                 "Give the subnet more addresses, or the service another subnet.",
	"NetworkInterface":                "Mend what EC2 says of the network interface.",
	fault.ReasonNoCapacity:            "Wait for capacity, or let the service run in more zones.",
	"Volume":                          "Mend what the message says of the volume.",
	"Interrupted":                     "",
	"Maintenance":                     "",
	rollout.ReasonMigrationLost:       "", rollout.ReasonRevertFailed: "", rollout.ReasonNoLastGood: "", rollout.ReasonFrozen: "", rollout.ReasonTemplateRejected: "", rollout.ReasonSecretRejected: "",

	// Product: the sentences say what to do.
	rollout.ReasonMigrationFailed: "", rollout.ReasonMigrationTimeout: "", rollout.ReasonRolledBack: "",
	"Crashed": "", "Exited": "", "OutOfMemory": "", "Unhealthy": "", "CannotStart": "", "WrongPlatform": "", "ImageTooLarge": "",
	rollout.ReasonAlarmRed: "", "AlarmHolds": "", "ForbiddenLogLine": "", "Remembered": "",

	// Health of what runs.
	"TasksMissing": "Look at the service's events and stopped tasks in ECS: tasks stop, or others cannot start.",
	"ScaledToZero": "Scale the service up, if it is meant to run.",
	"ServiceGone":  "", "Stable": "", "Rolling": "",

	// What is so, and what is not so.
	"Succeeded": "", "Idle": "", "NotStalled": "", "NotBlocked": "", "Waiting": "", "InvalidManifest": "", "Parsed": "", "Running": "", "WaitingForLock": "",
	"NotRequired": "", "Applied": "", "NotYetRun": "", "Synced": "", "TemplateReported": "", "Reverted": "", "NotYetSeen": "", "Verifying": "",
	"Passed": "", "Inconclusive": "", "NotYetJudged": "", "TaskDefinitionChanged": "", "NoDrift": "", "SuspendedByGit": "", "HeldByOperator": "",
	"NotSuspended": "", "Replacing": "", "Recording": "", ReasonOther: "",
}

// saids are the reasons of the sentences that block a service without a failed call or task.
var saids = map[string]string{
	"RegistrySilent": "RegistrySilent", "ImageMissing": "ImageMissing", "TemplateMissing": "TemplateMissing", "TemplateUnreadable": "TemplateUnreadable",
	"Draining": "Draining", "Missing": fault.ReasonServiceMissing, "GoneInRollout": "GoneInRollout", "GoodUnreadable": "GoodUnreadable", "ServingUnreadable": "ServingUnreadable",
	"ScaledToZero": "ScaledToZero", "NoWayBack": "NoWayBack", "WayBackUnknown": "WayBackUnknown", "SecretUnreadable": "SecretUnreadable",
}

func init() {
	for _, s := range rollout.States() {
		if _, ok := steps[string(s)]; !ok && s != rollout.StateUnknown {
			steps[string(s)] = ""
		}
	}
}

// Step is what a person can do about a reason; empty where nobody is needed, or where the status's sentence says it.
func Step(reason string) string { return steps[reason] }

// Reasons are all that a condition can have, in order.
func Reasons() []string { return slices.Sorted(maps.Keys(steps)) }

// closed is the reason, or ReasonOther where it is none of Reasons.
func closed(reason string) string {
	if _, ok := steps[reason]; !ok {
		return ReasonOther
	}
	return reason
}

// next is what a person can do: the sentence's step, and before it the one for what it does not know more of than a message.
func next(s Status, rec rollout.Record) string {
	switch stalled, blocked := s.Condition(Stalled), s.Condition(Blocked); {
	case rec.State == rollout.StateStalled && stalled.Status == True && Step(stalled.Reason) != "":
		return Step(stalled.Reason) + " " + rec.Next
	case blocked.Status == True && Step(blocked.Reason) != "":
		return Step(blocked.Reason) + " It is tried again by itself."
	case s.Phase == PhaseDegraded:
		return Step(s.Condition(Healthy).Reason)
	}
	return rec.Next
}
