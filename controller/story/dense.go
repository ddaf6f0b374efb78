package story

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/canteen/deploy/controller/app"
)

// Dense draws a story of many rollouts and little else: so many services release together, again and again, one version in six
// is bad, and at least three faults meet the requests of each release. It is what the speed of the simulation is measured by.
func Dense(seed uint64, services, releases int) string {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, 2))}
	for i := range services {
		d.services = append(d.services, fmt.Sprintf("s%d", i+1))
	}
	d.given = append(d.given, fmt.Sprintf("# Dense: seed %d.", seed), "given services "+strings.Join(d.services, ", "), "given that anything may end", "given a quick account",
		fmt.Sprintf("given %d workers", app.DefaultWorkers), "given the whole of AWS's request limits")
	d.say("commit everybody with spec.verify.bake 10s")
	d.say("commit environment also massChange: {share: 100%%, atLeast: %d}", services+1) // all of them at once is what this is about
	for i, service := range d.services {
		if i%4 != 0 { // most releases of most services migrate nothing
			d.say("commit %s without migration", service)
		}
	}
	for n := range releases {
		tag := fmt.Sprintf("v%d", n+1)
		for _, s := range d.services {
			push := fmt.Sprintf("push %s image %s", s, tag)
			if n > 0 && d.chance(6) {
				push += ": " + pick(d, traitsDense...)
			}
			d.say("%s", push)
		}
		for range 3 {
			d.say("fault: %s %s, %d times", pick(d, operationsDrawn...), pick(d, "is throttled", "fails", "fails after its effect", "gets no answer", "is lost"), 1+d.rng.IntN(3))
		}
		d.say("commit everybody with spec.containers.app.image.tag %s", tag)
		if n == 0 {
			d.say("start")
		}
		d.say("advance 45s") // the controller has read it by then
		d.say("expect all at rest in 2h")
	}
	return strings.Join(d.given, "\n") + "\n" + strings.Join(d.lines, "\n") + "\n"
}

// traitsDense are the faults of versions that are found within a minute.
var traitsDense = []string{"crashes on start", "panics after 2s", "exits after 5s", "migration fails", "cannot be pulled"}
