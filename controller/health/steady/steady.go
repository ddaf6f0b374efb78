// Package steady judges whether one deployment, by its id, is complete: ECS says so in both of its records, at least one
// task runs, and its tasks do not keep dying. "The service is stable" is never asked: it is true after a rollback too.
package steady

import (
	"fmt"
	"slices"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// deadTasksMax is how many tasks of a deployment may die by their own fault, or for want of the same thing, before that is
// conclusive. One can be bad luck; ECS itself counts to three at least, or never (containers-roadmap#1206).
const deadTasksMax = 2

// Check is the steady check.
type Check struct{}

// Facts implements health.Check.
func (Check) Facts(s rollout.Subject) observed.Look {
	if s.Before {
		return observed.Look{}
	}
	return observed.Look{ServiceDeployment: true, Tasks: true, Targets: s.BakeFrom.IsZero() && s.Now.Sub(s.RolledAt) >= targetsAfter}
}

// Read implements health.Check.
func (Check) Read(s rollout.Subject, seen observed.Service) (observed.Reading, bool) {
	if s.Before {
		return observed.Reading{}, false
	}
	r := observed.Reading{Check: rollout.CheckSteady}
	d, listed := seen.Deployment(s.Deployment)
	dead := deaths(s.Deployment, seen.Tasks)
	if listed {
		r.Value, r.Threshold = fmt.Sprintf("%d running", d.Running), fmt.Sprintf("%d running", d.Desired)
	}
	switch worst := conclusive(dead, d, seen); {
	case worst.Class != "":
		r.Verdict, r.Class, r.Reason, r.Detail = observed.Fail, worst.Class, worst.Reason, worst.Message
	case !listed:
		r.Verdict, r.Detail = observed.NoData, "ECS does not list the deployment yet"
	default:
		progress(&r, s, d, dead, seen)
	}
	return r, true
}

// progress tells a complete deployment from one that is under way.
func progress(r *observed.Reading, s rollout.Subject, d observed.Deployment, dead []rollout.Stop, seen observed.Service) {
	r.Verdict = observed.NoData
	counted := fmt.Sprintf("%d of %d tasks run", d.Running, d.Desired)
	unread, tasksUnread := seen.Lacks(observed.FactTasks)
	unrecorded, recordUnread := seen.Lacks(observed.FactServiceDeployment)
	sd := seen.ServiceDeployment
	switch {
	case d.Desired == 0 && s.Kind == rollout.KindDeploy:
		r.Reason, r.Detail = "ScaledToZero", "the service's count is 0, so nothing runs that could be judged"
	case tasksUnread && s.Kind == rollout.KindDeploy:
		// Whether they die is not known; a revert was good before, and ECS's records are enough for it.
		r.Class, r.Reason, r.Detail = unread.Class(), unread.Reason, "the tasks could not be read: "+unread.Message
	case d.Rollout == observed.RolloutInProgress && s.Now.Sub(s.RolledAt) < causeAfter:
		r.Reason, r.Detail = "Rolling", counted
	case d.Rollout == observed.RolloutInProgress:
		r.Class, r.Reason, r.Detail = cause(d, s.Revision, dead, seen)
	case d.Running < d.Desired || d.Pending > 0:
		r.Reason, r.Detail = "Replacing", counted
	case len(seen.Deployments) > 1:
		r.Reason, r.Detail = reasonDraining, "tasks of the deployment before are still draining"
	case sd != nil && sd.Status != observed.ServiceDeploymentSuccessful:
		r.Reason, r.Detail = "Recording", "ECS has not recorded the deployment as successful yet: "+sd.Status
	case recordUnread && unrecorded.Kind != "terminal":
		// The longer record can be late, and some controllers of old services have none: only a failed look at it holds back.
		r.Class, r.Reason, r.Detail = unrecorded.Class(), unrecorded.Reason, "ECS's record of the deployment could not be read: "+unrecorded.Message
	case sd == nil && !recordUnread:
		r.Reason, r.Detail = "Recording", "ECS has no record of the deployment yet"
	default:
		r.Verdict, r.Reason, r.Detail = observed.Pass, "Complete", fmt.Sprintf("the deployment is complete with %d tasks", d.Running)
	}
}

// deaths are the verdicts on the deployment's own stopped tasks, those that say nothing left out.
func deaths(deployment string, tasks []observed.Task) []rollout.Stop {
	var out []rollout.Stop
	for _, t := range tasks {
		if t.Deployment != deployment || !t.Stopped() && t.StopCode == "" {
			continue
		}
		if stop := rollout.Stopped(t); stop.Class != "" {
			out = append(out, stop)
		}
	}
	return out
}

// conclusive returns what enough tasks died of. ECS having given the deployment up makes one death enough, and is
// conclusive by itself: then it stands for what most of what is known says, and where nothing is known or only the
// infrastructure failed, for the infrastructure's trouble, which condemns nothing.
func conclusive(dead []rollout.Stop, d observed.Deployment, seen observed.Service) rollout.Stop {
	gaveUp := d.Rollout == observed.RolloutFailed
	enough := deadTasksMax
	if gaveUp {
		enough = 1
	}
	for _, class := range []observed.Class{observed.ClassBlocked, observed.ClassProduct} {
		of := slices.DeleteFunc(slices.Clone(dead), func(s rollout.Stop) bool { return s.Class != class })
		if len(of) >= enough {
			stop := of[0]
			if len(of) > 1 {
				stop.Message = fmt.Sprintf("%d tasks stopped: %s", len(of), stop.Message)
			}
			return stop
		}
	}
	if !gaveUp {
		return rollout.Stop{}
	}
	stop := rollout.Stop{Class: observed.ClassInfrastructure, Reason: "DeploymentFailed", Message: "ECS gave the deployment up: " + orUnknown(d.Reason)}
	_, unread := seen.Lacks(observed.FactTasks)
	switch {
	case len(dead) > 0:
		stop.Reason = dead[0].Reason
		stop.Message += "; " + dead[0].Message
	case !unread && !slices.ContainsFunc(seen.Tasks, func(t observed.Task) bool { return t.Deployment == d.ID }):
		stop.Reason = reasonNotPlaced
		stop.Message += "; no task of it exists" + saying(d, seen)
	}
	return stop
}

func orUnknown(s string) string {
	if s == "" {
		return "it gave no reason"
	}
	return s
}
