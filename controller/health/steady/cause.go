package steady

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// The reasons why a deployment is not complete yet. They are told by counts, states and codes: what ECS writes into its
// events is for people, its texts have changed, and the list is capped.
const (
	reasonNotPlaced   = "TasksNotPlaced"     // no task exists: capacity, a quota, the percentages, ECS's own trouble
	reasonNotStarting = "TasksNotStarting"   // tasks exist and do not come to run
	reasonUnhealthy   = "TargetsUnhealthy"   // they run, the load balancer finds them unhealthy, and ECS leaves them
	reasonUnused      = "TargetsUnused"      // the load balancer sends them nothing
	reasonUnavailable = "TargetsUnavailable" // the load balancer does not check them
	reasonUnknown     = "HealthUnknown"      // their containers' health check has no answer
	reasonRemain      = "OldTasksRemain"     // all is well with them, and tasks of before are not stopped
	reasonDraining    = rollout.ReasonDraining
)

// causeAfter is how long a roll may go on before it is worth a word why.
const causeAfter = time.Minute

// targetsAfter is how long a roll goes on before the load balancer is asked why: the usual one is over by then, and costs no
// call more.
const targetsAfter = 2 * time.Minute

// cause says what holds a deployment up that ECS has not completed.
func cause(d observed.Deployment, revision string, dead []rollout.Stop, seen observed.Service) (observed.Class, string, string) {
	counted := fmt.Sprintf("%d of %d tasks run", d.Running, d.Desired)
	switch {
	case len(dead) > 0:
		return dead[0].Class, dead[0].Reason, counted + "; " + dead[0].Message
	case d.Running >= d.Desired:
		return running(d, revision, counted, seen)
	case d.Running+d.Pending < d.Desired:
		return observed.ClassInfrastructure, reasonNotPlaced, counted + ", and ECS starts no others" + saying(d, seen)
	}
	return observed.ClassInfrastructure, reasonNotStarting, counted + ", and the others do not start" + saying(d, seen)
}

// running says what holds a deployment up whose tasks all run.
func running(d observed.Deployment, revision, counted string, seen observed.Service) (observed.Class, string, string) {
	own, others := map[string]bool{}, 0
	unknown := 0
	for _, t := range seen.Tasks {
		switch {
		case t.Stopped():
		case t.Deployment != d.ID && t.DesiredStatus == "RUNNING":
			others++
		case t.Deployment == d.ID:
			own[t.Address] = true
			if t.Health == "UNKNOWN" && seen.Revisions[revision].HealthChecked {
				unknown++
			}
		}
	}
	unread, targetsUnread := seen.Lacks(observed.FactTargets)
	states := map[string]string{}
	for _, t := range seen.Targets {
		if own[t.ID] {
			states[t.State] = fmt.Sprintf("%s:%d %s", t.ID, t.Port, t.Reason)
		}
	}
	switch {
	case states["unused"] != "":
		return observed.ClassBlocked, reasonUnused, "the target group receives no traffic: " + states["unused"]
	case states["unavailable"] != "":
		return observed.ClassInfrastructure, reasonUnavailable, "the load balancer does not check its targets: " + states["unavailable"]
	case states["unhealthy"] != "":
		return observed.ClassInfrastructure, reasonUnhealthy, "a target is unhealthy, and ECS leaves it: " + states["unhealthy"]
	case targetsUnread && unread.Class() == observed.ClassBlocked:
		return observed.ClassBlocked, unread.Reason, "the load balancer could not be asked: " + unread.Message
	case unknown > 0:
		return observed.ClassInfrastructure, reasonUnknown, fmt.Sprintf("the health of %d tasks is UNKNOWN", unknown)
	case others > 0:
		return observed.ClassInfrastructure, reasonRemain, fmt.Sprintf("%s, and %d tasks of before are not stopped", counted, others) + saying(d, seen)
	case len(seen.Deployments) > 1:
		return observed.ClassInfrastructure, reasonDraining, "tasks of the deployment before are still draining"
	}
	return observed.ClassInfrastructure, "Rolling", counted + saying(d, seen)
}

// routine is what ECS says of every deployment.
var routine = []string{"has started ", "registered ", "has stopped ", "stopped ", "has begun draining", "steady state.", "deployment completed", "deployment failed"}

// saying is ECS's newest word about the deployment that is not of its routine, for people.
func saying(d observed.Deployment, seen observed.Service) string {
	for _, e := range seen.Events {
		if e.At.Before(d.CreatedAt) {
			break // newest first
		}
		if !slices.ContainsFunc(routine, func(part string) bool { return strings.Contains(e.Message, part) }) {
			return "; ECS says: " + e.Message
		}
	}
	return ""
}
