package story

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// crowdSteps are the writes of a rollout at which a leader may lose its lease, in the order in which they come.
var crowdSteps = []string{"RegisterTaskDefinition", "RunTask", "TagResource", "UpdateService", "TransactWriteItems", "UpdateItem", "PutParameter"}

// Crowd draws a story of many services and two controllers on one ledger, with events: releases of all services at once, one in six
// bad, while whoever leads is cut off from everything at each kind of step of a rollout, killed or stopped, the ledger is throttled or away,
// events are lost and the account refuses calls. It ends as every drawn story does.
func Crowd(seed uint64, services int) string {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, 3))}
	for i := range services {
		d.services = append(d.services, fmt.Sprintf("s%d", i+1))
	}
	d.given = append(d.given, fmt.Sprintf("# A crowd: seed %d.", seed), "given services "+strings.Join(d.services, ", "), "given that anything may end",
		"given a quick account", "given two controllers", "given events that are doubled")
	d.say("commit environment also massChange: {share: 100%%, atLeast: %d}", services+1)
	d.crowdRelease(1, nil)
	d.say("start")
	steps := append([]string{}, crowdSteps...)
	d.rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for i, step := range steps {
		if i%3 == 2 {
			d.crowdRelease(i, traitsDense)
		}
		d.say("perhaps cut off the leader at its next %s", step)
		d.say("advance %s", d.while())
		d.say("%s", pick(d, "perhaps DynamoDB is throttled", "perhaps DynamoDB goes away", "events are lost from now on",
			fmt.Sprintf("fault: %s %s, %d times", pick(d, operationsDrawn...), pick(d, "is throttled", "fails after its effect", "gets no answer"), 5+d.rng.IntN(50))))
		d.say("advance %ds", 5+d.rng.IntN(40))
		d.say("perhaps it comes back")
		if d.chance(2) {
			d.say("perhaps its last request arrives")
		}
		d.say("perhaps faults end")
		d.say("events come again")
		d.say("perhaps %s", pick(d, "crash the leader", "stop the leader"))
		d.say("advance %ds", 5+d.rng.IntN(40))
	}
	// What follows a verdict comes when it is a service's turn, and so many have theirs.
	return strings.Join(d.given, "\n") + "\n" + strings.Join(d.lines, "\n") + "\n" + strings.Replace(endingDrawn, "advance 75s", "advance 10m", 1)
}

// crowdRelease is a new version of every service, in one commit.
func (d *drawing) crowdRelease(n int, traits []string) {
	tag := fmt.Sprintf("v%d", n)
	for _, s := range d.services {
		push := fmt.Sprintf("push %s image %s", s, tag)
		if len(traits) > 0 && d.chance(6) {
			push += ": " + pick(d, traits...)
		}
		d.say("%s", push)
	}
	d.say("commit everybody with spec.containers.app.image.tag %s", tag)
}
