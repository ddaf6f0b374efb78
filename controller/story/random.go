package story

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Random draws a story by lot: what developers, operators, AWS and fate do to a few services, with at least three faults, and
// in the end all is well again and everything must come to rest. The same seed draws the same story. It is a script as people
// write them, so that one that fails can be read, shortened, and kept.
func Random(seed uint64, deeds int) string {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, 1)), files: map[string]string{}}
	fmt.Fprintf(&d.text, "# Drawn by lot: seed %d.\n", seed)
	d.world()
	for len(d.lines) < deeds || d.faults < 3 {
		d.draw()
	}
	for _, l := range d.lines {
		d.text.WriteString(l + "\n")
	}
	d.text.WriteString("all is well again\nexpect all at rest in 2h\neverybody gets a good version\nexpect all healthy in 1h\nadvance 75s\nexpect no write for 3m\n")
	return d.text.String()
}

// drawing is a story that is being drawn.
type drawing struct {
	rng      *rand.Rand
	text     strings.Builder
	lines    []string
	services []string
	images   map[string]int    // how many of each service were pushed
	files    map[string]string // what became of a service's file: broken or gone
	retries  map[string]int
	faults   int
	away     bool // git
	down     bool // the controller
}

func (d *drawing) say(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *drawing) fault(format string, args ...any) {
	d.faults++
	d.say(format, args...)
}

func pick[T any](d *drawing, of ...T) T { return of[d.rng.IntN(len(of))] }

// chance is true once in so many times.
func (d *drawing) chance(in int) bool { return d.rng.IntN(in) == 0 }

func (d *drawing) service() string { return pick(d, d.services...) }

// world says what the world is like, and begins.
func (d *drawing) world() {
	d.services = []string{"orders", "menus", "schools"}[:1+d.rng.IntN(3)]
	d.images, d.retries = map[string]int{}, map[string]int{}
	given := func(format string, args ...any) { fmt.Fprintf(&d.text, "given "+format+"\n", args...) }
	given("services %s", strings.Join(d.services, ", "))
	given("that anything may end")
	given("a quick account")
	if d.chance(3) {
		given("reads that are stale for up to %ds", 2+d.rng.IntN(20))
	}
	if d.chance(3) {
		given("records that come up to %ds late", 2+d.rng.IntN(15))
	}
	if d.chance(4) {
		given("ECS says SUCCESSFUL %ds before COMPLETED", 2+d.rng.IntN(30))
	}
	if len(d.services) > 1 && d.chance(2) {
		d.say("commit menus.yaml with spec.migration.lock orders-db")
	}
	for _, s := range d.services {
		d.release(s)
	}
	d.say("start")
	d.say("advance %ds", 20+d.rng.IntN(90))
}

// traitsDrawn are what images do, good ones twice as often as all the others together.
var traitsDrawn = []string{
	"crashes on start", "panics after 2s", "panics after 40s", "exits after 15s", "exits after 50s", "is never healthy", "is unhealthy after 20s",
	"never says that it listens", "cannot be pulled", "migration fails", "migration takes 90s", "migration takes 20m",
}

// release is a version on its way into git.
func (d *drawing) release(service string) {
	d.images[service]++
	tag := fmt.Sprintf("v%d", d.images[service])
	push := fmt.Sprintf("push %s image %s", service, tag)
	if d.chance(3) {
		push += ": " + pick(d, traitsDrawn...)
	}
	commit := fmt.Sprintf("commit %s image %s", service, tag)
	if d.files[service] != "" {
		commit = "perhaps " + commit
	}
	if d.chance(8) { // the pipeline is slower than the developer
		d.say("%s", commit)
		d.say("advance %s", d.while())
		d.say("%s", push)
		return
	}
	d.say("%s", push)
	d.say("%s", commit)
}

// while is how long nothing happens: most often a part of a rollout, now and then longer than all deadlines.
func (d *drawing) while() time.Duration {
	ms := time.Duration(d.rng.IntN(1000)) * time.Millisecond
	switch d.rng.IntN(10) {
	case 0:
		return time.Duration(5+d.rng.IntN(25))*time.Minute + ms
	case 1, 2, 3:
		return time.Duration(30+d.rng.IntN(150))*time.Second + ms
	}
	return time.Duration(1+d.rng.IntN(30))*time.Second + ms
}

// draw draws what happens next.
func (d *drawing) draw() {
	switch n := d.rng.IntN(20); {
	case n < 6:
		d.release(d.service())
	case n < 8:
		d.words(d.service())
	case n < 11:
		d.byHand(d.service())
	case n < 14:
		d.calls()
	case n < 16:
		d.trouble(d.service())
	default:
		d.controller()
	}
	d.say("advance %s", d.while())
}

// words are commits that bring no new image.
func (d *drawing) words(service string) {
	file := d.files[service]
	if file != "" && d.chance(2) {
		d.brokenFile(service, file)
		d.missingFile(service, file)
		return
	}
	switch pick(d, 0, 1, 2, 3, 4, 5, 6, 7, 8) {
	case 0:
		d.say("perhaps commit %s image v%d", service, 1+d.rng.IntN(d.images[service]))
	case 1:
		if file == "" {
			d.retries[service]++
			d.say("commit %s also retry: %d", service, d.retries[service])
		}
	case 2:
		if file == "" {
			d.say("perhaps commit %s also suspend: {reason: a fair, owner: kitchen, until: %s}", service, time.Date(2000, 1, 1, d.rng.IntN(4), 10*d.rng.IntN(6), 0, 0, time.UTC).Format(time.RFC3339))
		}
	case 3:
		if file == "" {
			d.say("perhaps commit %s without suspend", service)
		}
	case 4:
		if file == "" {
			d.say("perhaps commit %s.yaml with spec.containers.app.env.LOG_LEVEL %s", service, pick(d, "debug", "info", "warn"))
		}
	case 5:
		d.say("perhaps commit %s.yaml with spec.verify.bake %s", service, pick(d, "10s", "30s", "75s"))
	case 6:
		d.brokenFile(service, file)
	case 7:
		d.missingFile(service, file)
	case 8:
		d.say("commit nothing of ours")
	}
}

func (d *drawing) brokenFile(service, file string) {
	switch file {
	case "":
		d.files[service] = "broken"
		d.say("commit %s.yaml broken", service)
	case "broken":
		d.files[service] = ""
		d.say("commit %s.yaml mended", service)
	}
}

func (d *drawing) missingFile(service, file string) {
	switch file {
	case "":
		d.files[service] = "gone"
		d.say("take %s.yaml out of git", service)
	case "gone":
		d.files[service] = ""
		d.say("bring %s.yaml back", service)
	}
}

// byHand is what people do in the console.
func (d *drawing) byHand(service string) {
	switch pick(d, 0, 1, 2, 3, 4, 5, 6, 7) {
	case 0:
		d.say("perhaps by hand %s deploy image v%d", service, 1+d.rng.IntN(d.images[service]))
	case 1:
		d.say("perhaps by hand %s stop a task", service)
	case 2:
		d.say("perhaps by hand %s stop the migration", service)
	case 3:
		d.say("perhaps by hand %s force a new deployment", service)
	case 4:
		d.say("perhaps by hand %s roll back", service)
	case 5:
		d.say("by hand %s change the template", service)
	case 6:
		d.say("by hand %s tag deploy:hold ops/%s", service, time.Date(2000, 1, 1, d.rng.IntN(3), 10*d.rng.IntN(6), 0, 0, time.UTC).Format(time.RFC3339))
	case 7:
		d.say("by hand %s scale to %d", service, 1+d.rng.IntN(4))
	}
}

// operations are those that a fault of calls may meet, the writes more often than their share.
var operationsDrawn = []string{
	"UpdateService", "UpdateService", "RunTask", "RunTask", "RegisterTaskDefinition", "RegisterTaskDefinition", "TagResource", "TagResource", "StopTask", "PutParameter",
	"DescribeServices", "DescribeTaskDefinition", "DescribeTasks", "ListTasks", "ListServiceDeployments", "DescribeServiceDeployments", "DescribeTargetHealth", "DescribeStacks", "DescribeImages",
	"DescribeAlarms", "FilterLogEvents", "DescribeSecret", "GetParameter",
}

func (d *drawing) calls() {
	if d.chance(6) {
		d.say("faults end")
		return
	}
	d.fault("fault: %s %s, %d times", pick(d, operationsDrawn...), pick(d, "is throttled", "fails", "fails after its effect", "gets no answer", "is lost"), 1+d.rng.IntN(6))
}

// trouble is AWS's, or the infrastructure's.
func (d *drawing) trouble(service string) {
	switch pick(d, 0, 1, 2, 3, 4, 5) {
	case 0:
		d.fault("alarm %s turns %s", service+pick(d, "-5xx", "-db-cpu"), pick(d, "red", "green"))
	case 1:
		d.fault("the stack of %s is %s", service, pick(d, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_COMPLETE"))
	case 2:
		d.fault("Fargate has no room")
	case 3:
		d.say("Fargate has room again")
	case 4:
		d.fault("perhaps %s image v%d %s be pulled now", service, 1+d.rng.IntN(d.images[service]), pick(d, "cannot", "can"))
	case 5:
		d.fault("perhaps what if %s", strings.ReplaceAll(pick(d, troublesDrawn...), "NAME", service))
	}
}

// troublesDrawn are faults of the account's catalogue that concern a running service; NAME is its name.
var troublesDrawn = []string{
	"foreign-deployment of main/NAME", "two-controllers of main/NAME", "count-changed of main/NAME", "tasks-stopped of main/NAME", "fargate-retirement of main/NAME", "hangs-later of NAME",
	"secret-gone of NAME/db", "log-group-gone of /ecs/NAME", "stopped-tasks-forgotten of NAME", "logs-late of NAME", "target-group-detached of NAME", "tasks-protected of main/NAME",
	"scheduler-throttled of NAME", "secret-rotated of NAME/db", "zone-lost of eu-central-1a",
}

// controller is what happens to the controller and to its way to git.
func (d *drawing) controller() {
	switch n := d.rng.IntN(12); {
	case d.down:
		d.down = false
		d.say("%s", pick(d, "start", "start", "start", "start with an empty ledger"))
	case n < 6:
		d.fault("the controller dies %s its %d. %s from now", pick(d, "before", "after"), 1+d.rng.IntN(40), pick(d, "request", "save"))
	case n < 8:
		d.down = true
		d.fault("%s", pick(d, "perhaps crash", "perhaps stop"))
	case d.away:
		d.away = false
		d.say("git comes back")
	case n < 10:
		d.away = true
		d.fault("git goes away")
	default:
		d.say("faults end")
	}
}

// Shrink makes a failing story shorter: whatever can be left out without its failing in another way is left out. It gives up
// after so many tellings.
func Shrink(script string, tellings int, fails func(script string) bool) string {
	lines := strings.Split(strings.TrimRight(script, "\n"), "\n")
	for size := max(1, len(lines)/2); size >= 1; size /= 2 {
		for from := 0; from < len(lines); {
			shorter := slices.Delete(slices.Clone(lines), from, min(len(lines), from+size))
			if tellings--; tellings < 0 {
				return strings.Join(lines, "\n") + "\n"
			}
			if fails(strings.Join(shorter, "\n") + "\n") {
				lines = shorter
			} else {
				from += size
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
