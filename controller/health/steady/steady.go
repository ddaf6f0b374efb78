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
	return observed.Look{ServiceDeployment: true, Tasks: true}
}

// Read implements health.Check.
func (Check) Read(s rollout.Subject, seen observed.Service) (observed.Reading, bool) {
	if s.Before {
		return observed.Reading{}, false
	}
	r := observed.Reading{Check: rollout.CheckSteady}
	d, listed := seen.Deployment(s.Deployment)
	dead := deaths(s.Deployment, seen.Tasks)
	switch worst := conclusive(dead, d); {
	case worst.Class != "":
		r.Verdict, r.Class, r.Reason, r.Detail = observed.Fail, worst.Class, worst.Reason, worst.Message
	case !listed:
		r.Verdict, r.Detail = observed.NoData, "ECS does not list the deployment yet"
	default:
		r.Verdict, r.Reason, r.Detail = progress(s, d, seen)
	}
	return r, true
}

// progress tells a complete deployment from one that is under way.
func progress(s rollout.Subject, d observed.Deployment, seen observed.Service) (observed.Verdict, string, string) {
	switch {
	case d.Desired == 0 && s.Kind == rollout.KindDeploy:
		return observed.NoData, "ScaledToZero", "the service's count is 0, so nothing runs that could be judged"
	case d.Rollout == observed.RolloutInProgress:
		return observed.NoData, "Rolling", fmt.Sprintf("%d of %d tasks run", d.Running, d.Desired)
	case d.Running < d.Desired || d.Pending > 0:
		return observed.NoData, "Replacing", fmt.Sprintf("%d of %d tasks run", d.Running, d.Desired)
	case len(seen.Deployments) > 1:
		return observed.NoData, "Draining", "tasks of the deployment before are still draining"
	}
	if sd := seen.ServiceDeployment; sd != nil && sd.Status != observed.ServiceDeploymentSuccessful {
		return observed.NoData, "Recording", "ECS has not recorded the deployment as successful yet: " + sd.Status
	}
	// The longer record can be late, and some controllers of old services have none: only a failed look at it holds back.
	if m, lacks := seen.Lacks(observed.FactServiceDeployment); lacks && m.Kind != "terminal" {
		return observed.NoData, "Recording", "ECS's record of the deployment could not be read: " + m.Message
	}
	if seen.ServiceDeployment == nil {
		if _, lacks := seen.Lacks(observed.FactServiceDeployment); !lacks {
			return observed.NoData, "Recording", "ECS has no record of the deployment yet"
		}
	}
	return observed.Pass, "Complete", fmt.Sprintf("the deployment is complete with %d tasks", d.Running)
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
func conclusive(dead []rollout.Stop, d observed.Deployment) rollout.Stop {
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
	message := "ECS gave the deployment up: " + orUnknown(d.Reason)
	if len(dead) > 0 {
		message += "; " + dead[0].Message
	}
	return rollout.Stop{Class: observed.ClassInfrastructure, Reason: "DeploymentFailed", Message: message}
}

func orUnknown(s string) string {
	if s == "" {
		return "it gave no reason"
	}
	return s
}
