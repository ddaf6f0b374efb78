package rollout

import (
	"strings"

	"github.com/canteen/deploy/controller/observed"
)

// takesOver covers a service that the controller meets for the first time and that already runs what git asks, to the last byte of
// its task definition: somebody else rolled it out, and to roll the same once more would change nothing. Nothing is written. What
// runs is watched for the bake as any other version, and is good after that and not before. As nothing is begun in the account, no window
// and no place is waited for. A version whose migration is not known to have run, and one that git says to try again, is rolled out.
func takesOver(in Input, rec Record, goal Target, print string, trigger Trigger, secrets map[string]string) (Decision, bool) {
	primary := in.Seen.Primary()
	if trigger != TriggerGit || rec.Stalled != nil || !metRunning(in, rec, primary) || goal.Migration != nil && !contains(rec.Migrated, goal.Key) {
		return Decision{}, false
	}
	if b := rec.Blocked; b != nil && in.pauses(b.Until, blockedMax) {
		return Decision{}, false // it is said by whoever decides next
	}
	if in.Look.Alike == nil || !in.Look.Fresh {
		look := beforeLook(rec)
		look.Containers, look.Alike = goal.digests(), goal.on(*in.Seen.Template)
		return Decision{Record: rec, Look: look}, true
	}
	if m, lacks := in.Seen.Lacks(observed.FactAlike); lacks && m.Class() != observed.ClassBlocked {
		return wait(in, rec, sayCouldNot("compare what runs with what git asks", m.Message), in.watchAt()), true
	}
	if in.Seen.Alike == nil || !*in.Seen.Alike {
		return Decision{}, false
	}
	if d, ok := held(in, rec); ok {
		return d, true
	}
	if d, ok := paused(in, rec); ok {
		return d, true
	}
	if d, ok := unhealthy(in, rec, goal); ok {
		return d, true
	}
	rec.Generation++
	rec.Drift, rec.Deployed = nil, primary.ID
	rec.Rollout = &Rollout{Number: rec.Generation, Kind: KindDeploy, Trigger: trigger, TakesOver: true, Target: goal, Fingerprint: print, Template: in.Seen.Template.ARN,
		Secrets: secrets, Retry: rec.Intent.Service.Spec.Retry, Stage: StageRoll, StartedAt: in.Now, StageAt: in.Now, AskedAt: in.Now, Revision: primary.TaskDefinition,
		Deadline:   in.Now.Add(rec.Intent.Service.Spec.Rollout.Deadline.Std()),
		Deployment: &Deployment{ID: primary.ID, RequestedAt: in.Now, Listed: true}, CountWas: in.Seen.Desired, Baseline: in.Seen.Alarms}
	return moveOn(rec.know(print, primary.TaskDefinition)), true
}

// metRunning reports whether the service runs a revision that no controller made, and that is all that it runs: no version was
// ever good or rolled out here. One that the infrastructure has just made, of the template itself, is not that.
func metRunning(in Input, rec Record, primary observed.Deployment) bool {
	r, known := in.Seen.Revisions[primary.TaskDefinition]
	return rec.Good == nil && (rec.Deployed == "" || rec.Deployed == primary.ID) && len(in.Seen.Deployments) == 1 && primary.ID != "" &&
		primary.Rollout == observed.RolloutCompleted && in.Seen.Desired > 0 && in.Seen.Running > 0 &&
		known && r.Active && r.Fingerprint == "" && lineage(primary.TaskDefinition) != lineage(in.Seen.Template.ARN)
}

// lineage is the family of a revision.
func lineage(arn string) string {
	name, _, _ := strings.Cut(family(arn), ":")
	return name
}

// on is what the target would be rendered to.
func (t Target) on(template observed.Template) *observed.Rendering {
	r := &observed.Rendering{Template: template.ARN, Containers: map[string]observed.Rendered{}}
	for name, c := range t.Containers.All() {
		r.Containers[name] = observed.Rendered(c)
	}
	return r
}

// takenMark is what the tag TagTaken says of a revision that was taken over: a revision of the controller's own has it in its tags.
func takenMark(g Good) string { return g.Target.Ask + " " + g.Fingerprint }

// taken completes what is known of the revision that the service's tag calls good, where it was taken over.
func taken(in Input, good observed.Revision) observed.Revision {
	ask, print, ok := strings.Cut(in.Seen.Tags[TagTaken], " ")
	if ok && good.ARN != "" && good.Ask == "" && good.Fingerprint == "" {
		good.Ask, good.Fingerprint = ask, print
	}
	return good
}
