package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/observed"
)

// Stop is what a stopped task says about whose trouble it is.
type Stop struct {
	Class   observed.Class // empty: it says nothing (scaled in, stopped by a person)
	Reason  string         // closed word
	Message string
}

// The stop codes of the ECS API (Task.stopCode).
const (
	stopFailedToStart   = "TaskFailedToStart"
	stopContainerExited = "EssentialContainerExited"
	stopByScheduler     = "ServiceSchedulerInitiated"
	stopSpot            = "SpotInterruption"
	stopTerminated      = "TerminationNotice"
)

// startTrouble tells the reasons of TaskFailedToStart apart. ECS gives no code for them, only this text:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html. The first row that fits
// decides; whatever fits none is the product's, since it is most often the image or its command.
var startTrouble = []struct {
	text   []string // all of them, in any case
	class  observed.Class
	reason string
}{
	{[]string{"toomanyrequests"}, observed.ClassInfrastructure, "PullThrottled"},
	{[]string{"i/o timeout"}, observed.ClassInfrastructure, "NetworkTimeout"},
	{[]string{"context deadline exceeded"}, observed.ClassInfrastructure, "NetworkTimeout"},
	{[]string{"timeout waiting for"}, observed.ClassInfrastructure, "ProvisioningTimeout"},
	{[]string{"insufficientfreeaddresses"}, observed.ClassInfrastructure, "NoFreeAddresses"},
	{[]string{"unexpected ec2 error"}, observed.ClassInfrastructure, "NetworkInterface"},
	{[]string{"capacity is unavailable"}, observed.ClassInfrastructure, "NoCapacity"},
	{[]string{"resource:cpu"}, observed.ClassInfrastructure, "NoCapacity"}, // not any "on resource: arn:…" of a refusal
	{[]string{"resource:memory"}, observed.ClassInfrastructure, "NoCapacity"},
	{[]string{"resource:eni"}, observed.ClassInfrastructure, "NoCapacity"},
	{[]string{"resource:fargate"}, observed.ClassInfrastructure, "NoCapacity"},
	{[]string{"no active instances"}, observed.ClassInfrastructure, "NoCapacity"},
	{[]string{"empty capacity provider"}, observed.ClassInfrastructure, "NoCapacity"},
	{[]string{"cannotpullcontainererror", "platform"}, observed.ClassProduct, "WrongPlatform"},
	{[]string{"cannotpullcontainererror", "no space left"}, observed.ClassProduct, "ImageTooLarge"},
	{[]string{"unable to retrieve ecr registry auth"}, observed.ClassBlocked, "RegistryDenied"},
	{[]string{"cannotpull"}, observed.ClassBlocked, "ImageNotPullable"},
	{[]string{"resourceinitializationerror", "log group"}, observed.ClassBlocked, "LogGroupMissing"},
	{[]string{"resourceinitializationerror", "logger"}, observed.ClassBlocked, "LogGroupMissing"},
	{[]string{"resourceinitializationerror", "secret"}, observed.ClassBlocked, "SecretUnavailable"},
	{[]string{"resourceinitializationerror", "ssm"}, observed.ClassBlocked, "SecretUnavailable"},
	{[]string{"resourceinitializationerror"}, observed.ClassBlocked, "ResourceInitialization"},
	{[]string{"unable to assume the role"}, observed.ClassBlocked, "RoleUnusable"},
	{[]string{"cannotcreatevolume"}, observed.ClassInfrastructure, "Volume"},
}

// Stopped classifies a stopped task by its stop code, and by text only where ECS has no code.
func Stopped(t observed.Task) Stop {
	switch t.StopCode {
	case stopContainerExited:
		return exited(t)
	case stopFailedToStart:
		if injected(t) {
			return Stop{observed.ClassBlocked, "SidecarFailed", clip(t.StoppedReason)}
		}
		text := t.StoppedReason
		for _, c := range t.Containers {
			text += "\n" + c.Reason
		}
		return startFailed(t, strings.ToLower(text))
	case stopSpot, stopTerminated:
		return Stop{observed.ClassInfrastructure, "Interrupted", clip(t.StoppedReason)}
	case stopByScheduler:
		// Unhealthy tasks and scaled-in ones share this code. A container's health is a state of the task's; what the load balancer
		// found is in the text alone.
		lower := strings.ToLower(t.StoppedReason)
		if t.Health == "UNHEALTHY" || strings.Contains(lower, "health check") {
			return Stop{observed.ClassProduct, "Unhealthy", clip(t.StoppedReason)}
		}
		if strings.Contains(lower, "maintenance") {
			return Stop{observed.ClassInfrastructure, "Maintenance", clip(t.StoppedReason)}
		}
	}
	return Stop{}
}

// injectedNames are how the containers are named that AWS puts into tasks, which no revision has: Service Connect's proxy and
// GuardDuty's agent (ECS developer guide, "Service Connect" and "Runtime Monitoring").
var injectedNames = []string{"ecs-service-connect-", "aws-guardduty-agent-"}

// injected reports whether it was only a container of AWS's that kept the task from starting.
func injected(t observed.Task) bool {
	found := false
	for _, c := range t.Containers {
		if c.Reason == "" {
			continue
		}
		if !slices.ContainsFunc(injectedNames, func(prefix string) bool { return strings.HasPrefix(c.Name, prefix) }) {
			return false
		}
		found = true
	}
	return found
}

func startFailed(t observed.Task, lower string) Stop {
	for _, row := range startTrouble {
		fits := true
		for _, part := range row.text {
			fits = fits && strings.Contains(lower, part)
		}
		if fits {
			return Stop{row.class, row.reason, clip(t.StoppedReason)}
		}
	}
	return Stop{observed.ClassProduct, "CannotStart", clip(t.StoppedReason)}
}

// exited names the container whose end was not the task's doing.
func exited(t observed.Task) Stop {
	var culprit *observed.Container
	for i, c := range t.Containers {
		if c.Exited && (culprit == nil || guilt(c) > guilt(*culprit)) {
			culprit = &t.Containers[i]
		}
	}
	switch {
	case culprit == nil:
		return Stop{observed.ClassProduct, "Exited", clip(t.StoppedReason)}
	case outOfMemory(*culprit):
		return Stop{observed.ClassProduct, "OutOfMemory", fmt.Sprintf("container %s was killed because it ran out of memory", culprit.Name)}
	}
	return Stop{observed.ClassProduct, "Crashed", fmt.Sprintf("container %s exited with code %d", culprit.Name, culprit.ExitCode)}
}

// The exit codes that the stop of a task gives to the containers beside the one that ended it: 128 and the number of SIGTERM, or of
// SIGKILL where that one is not heeded.
const (
	exitTerminated = 128 + 15
	exitKilled     = 128 + 9
)

// guilt is how surely the container ended by itself. One that takes its SIGTERM well ends with 0, as one does whose work is done.
func guilt(c observed.Container) int {
	switch {
	case outOfMemory(c):
		return 3
	case c.ExitCode == exitTerminated || c.ExitCode == exitKilled:
		return 0
	case c.ExitCode == 0:
		return 1
	}
	return 2
}

func outOfMemory(c observed.Container) bool { return strings.Contains(c.Reason, "OutOfMemory") }
