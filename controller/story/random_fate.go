package story

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What people do in the console, and what AWS, the infrastructure and fate do, in a drawn story.

func (d *drawing) deployByHand(service string) {
	if d.chance(3) {
		d.say("perhaps by hand %s force a new deployment", service)
		return
	}
	d.say("perhaps by hand %s deploy image v%d", service, d.image(service))
}

// scale is an autoscaler's work more often than a person's.
func (d *drawing) scale(service string) {
	switch d.rng.IntN(8) {
	case 0:
		d.say("perhaps by hand %s scale to 0", service)
	case 1, 2:
		d.say("perhaps by hand %s scale to %d", service, 1+d.rng.IntN(4))
	default:
		d.say("perhaps the autoscaler scales %s to %d", service, 1+d.rng.IntN(5))
	}
}

func (d *drawing) stopByHand(service string) {
	d.say("perhaps by hand %s %s", service, pick(d, "stop a task", "stop the migration", "roll back"))
}

func (d *drawing) hold(service string) {
	if d.chance(3) {
		d.say("perhaps by hand %s remove the tag deploy:hold", service)
		return
	}
	d.say("perhaps by hand %s tag deploy:hold ops/%s", service, d.clock(3))
}

func (d *drawing) template(service string) {
	d.say("by hand %s change the template", service)
}

func (d *drawing) deregister(service string) {
	d.say("perhaps by hand %s deregister what runs", service)
}

// deletion deletes the service, or creates it anew.
func (d *drawing) deletion(service string) {
	if d.forgets {
		return
	}
	if d.deletes[service] = !d.deletes[service]; d.deletes[service] {
		d.say("perhaps by hand %s delete the service", service)
		return
	}
	d.say("perhaps by hand %s create the service anew", service)
}

func (d *drawing) cloudFormation(service string) {
	switch d.rng.IntN(4) {
	case 0:
		d.say("the stack of %s is %s", service, pick(d, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_COMPLETE"))
	case 1:
		d.say("perhaps CloudFormation updates %s and names %s:1", service, service)
	default:
		d.say("perhaps CloudFormation updates %s", service)
	}
}

// operations are those that a fault of calls may meet, the writes more often than their share.
var operationsDrawn = []string{
	"UpdateService", "UpdateService", "RunTask", "RunTask", "RegisterTaskDefinition", "RegisterTaskDefinition", "TagResource", "TagResource", "StopTask", "PutParameter",
	"DescribeServices", "DescribeTaskDefinition", "DescribeTasks", "ListTasks", "ListServiceDeployments", "DescribeServiceDeployments", "DescribeTargetHealth", "DescribeStacks", "DescribeImages",
	"DescribeAlarms", "FilterLogEvents", "DescribeSecret", "GetParameter",
}

// operationsOfPairs are those of a shared ledger.
var operationsOfPairs = []string{"TransactWriteItems", "TransactWriteItems", "UpdateItem", "GetItem", "Query"}

func (d *drawing) operation() string {
	if d.two && d.chance(4) {
		return pick(d, operationsOfPairs...)
	}
	return pick(d, operationsDrawn...)
}

func (d *drawing) call(string) {
	if d.chance(8) {
		d.say("faults end")
		return
	}
	d.say("fault: %s %s, %d times", d.operation(), pick(d, "is throttled", "fails", "fails after its effect", "gets no answer", "is lost", "is denied", "hangs"), 1+d.rng.IntN(6))
}

func (d *drawing) alarm(service string) {
	name := service + pick(d, "-5xx", "-db-cpu")
	switch d.rng.IntN(6) {
	case 0:
		d.say("perhaps alarm %s has too little data", name)
	case 1:
		d.say("perhaps alarm %s is %s", name, pick(d, "deleted", "there again"))
	default:
		d.say("perhaps alarm %s turns %s", name, pick(d, "red", "green"))
	}
}

func (d *drawing) capacity(string) {
	d.say("Fargate has %s", pick(d, "no room", "room again"))
}

func (d *drawing) imagePull(service string) {
	d.say("perhaps %s image v%d %s", service, d.image(service), pick(d, "cannot be pulled now", "can be pulled now", "is gone from the registry", "is in the registry again", "crashes from now on", "works from now on"))
}

// catalogue is a fault of the account's own, for a while.
func (d *drawing) catalogue(service string) {
	name := pick(d, slices.Sorted(maps.Keys(troublesDrawn))...)
	line := "perhaps what if " + name
	switch target := strings.ReplaceAll(troublesDrawn[name], "NAME", service); target {
	case anyCall:
		if d.chance(2) {
			line += " at " + d.operation()
		}
	case ownCall, nothingOfOurs:
	case anImage:
		d.say("%s of image %s:v%d for %s", line, service, d.image(service), d.lasts())
		return
	case aTag:
		line += fmt.Sprintf(" of %s:v%d", service, d.image(service))
	default:
		line += " of " + target
	}
	d.say("%s for %s", line, d.lasts())
}

// lasts is how long a fault does, in odd milliseconds.
func (d *drawing) lasts() time.Duration {
	return time.Duration(5+d.rng.IntN(pick(d, 40, 600)))*time.Second + time.Duration(d.rng.IntN(1000))*time.Millisecond
}

// jump sets the controller's clock, and takes it back.
func (d *drawing) jump(string) {
	if d.skewed = !d.skewed; !d.skewed {
		d.say("the controller's clock is right again")
		return
	}
	by := time.Duration(1+d.rng.IntN(pick(d, 60, 600, 3600))) * time.Second
	if d.chance(2) {
		by = -by
	}
	d.say("the controller's clock jumps by %s", by)
}

// kill ends the controller at a request or a save of its, as kill -9 does. It is started again after a while.
func (d *drawing) kill(string) {
	if d.down {
		return
	}
	what := pick(d, "request", "save")
	if d.two {
		what = "request" // a save is one
	}
	d.say("the controller dies %s its %d. %s from now", pick(d, "before", "after"), 1+d.rng.IntN(40), what)
}

// end stops the controller, and starts it again: on its ledger, on an older copy, or on none.
func (d *drawing) end(string) {
	if !d.down {
		d.down = true
		d.say("%s", pick(d, "perhaps crash", "perhaps stop"))
		return
	}
	d.down = false
	switch {
	case d.forgets && d.chance(4):
		d.say("perhaps start with an empty ledger")
	case d.forgets && d.copied && d.chance(2):
		d.say("perhaps start with the copy of the ledger")
	default:
		d.say("perhaps start")
	}
}

func (d *drawing) copy(string) {
	if d.forgets {
		d.copied = true
		d.say("perhaps keep a copy of the ledger")
	}
}

// pair is what happens to two controllers on one ledger.
func (d *drawing) pair(string) {
	switch {
	case !d.two || d.down:
	case d.cut:
		d.cut = false
		d.say("perhaps it comes back")
		if d.chance(3) {
			d.say("perhaps its last request arrives")
		}
	case d.chance(2):
		d.cut = true
		d.say("perhaps cut off the leader%s", pick(d, "", "", " at its next UpdateService", " at its next RunTask", " at its next TransactWriteItems"))
	default:
		d.say("perhaps %s", pick(d, "crash the leader", "stop the leader", "DynamoDB goes away", "DynamoDB is throttled", "faults end"))
	}
}
