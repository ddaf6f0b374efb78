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
// write them, so that one that fails can be read, shortened, and kept. It has so many deeds at least; with 0 the seed says: every
// tenth story is long and of up to three services, the others are short and of one or two, because most of what goes wrong does
// so among few, and many short stories meet more of it than a few long ones.
func Random(seed uint64, deeds int) string { return draw(seed, deeds).script() }

// family is a kind of deed that a drawn story may contain.
type family struct {
	name   string
	weight int
	draw   func(d *drawing, service string) // says nothing where it is not possible now
	fault  bool                             // counts toward the three faults of a story
}

// familiesDrawn is everything that a drawn story may contain. Each story leaves about half of the families out, new versions and
// faults of calls excepted, so that those that it has meet one another often.
var familiesDrawn = []family{
	{"version", 60, (*drawing).release, false},
	{"back", 8, (*drawing).back, false},
	{"retry", 10, (*drawing).retry, false},
	{"env", 6, (*drawing).env, false},
	{"bake", 4, (*drawing).bake, false},
	{"nothing", 3, (*drawing).nothing, false},
	{"suspend", 10, (*drawing).suspend, false},
	{"window", 10, (*drawing).window, false},
	{"crowd", 8, (*drawing).crowd, false},
	{"dependency", 12, (*drawing).dependency, false},
	{"recreate", 8, (*drawing).recreate, false},
	{"freeze", 6, (*drawing).freeze, false},
	{"breaking", 8, (*drawing).breaking, false},
	{"emergency", 5, (*drawing).emergency, false},
	{"secretChange", 12, (*drawing).secretChange, false},
	{"force-push", 10, (*drawing).forcePush, false},
	{"broken file", 10, (*drawing).brokenFile, false},
	{"missing file", 8, (*drawing).missingFile, false},
	{"git away", 10, (*drawing).gitAway, true},
	{"deploy by hand", 10, (*drawing).deployByHand, false},
	{"scale", 8, (*drawing).scale, false},
	{"stop", 20, (*drawing).stopByHand, false},
	{"hold", 8, (*drawing).hold, false},
	{"template", 6, (*drawing).template, false},
	{"deregister", 5, (*drawing).deregister, false},
	{"deletion", 10, (*drawing).deletion, true},
	{"CloudFormation", 12, (*drawing).cloudFormation, true},
	{"call", 30, (*drawing).call, true},
	{"alarm", 10, (*drawing).alarm, true},
	{"clock", 12, (*drawing).jump, true},
	{"capacity", 8, (*drawing).capacity, true},
	{"image", 8, (*drawing).imagePull, true},
	{"catalogue", 40, (*drawing).catalogue, true},
	{"kill", 30, (*drawing).kill, true},
	{"end", 14, (*drawing).end, true},
	{"copy", 8, (*drawing).copy, false},
	{"pair", 40, (*drawing).pair, true},
}

// always are the families that no story leaves out.
var always = []string{"version", "call", "kill", "pair"}

// ending is how every drawn story ends: faults are over, everything comes to rest, and takes a good version.
const endingDrawn = "all is well again\nexpect all at rest in 2h\neverybody gets a good version\nexpect all healthy in 1h\nadvance 75s\nexpect no write for 3m\n"

// drawing is a story that is being drawn.
type drawing struct {
	rng      *rand.Rand
	given    []string
	lines    []string
	families []family          // that this story has
	family   string            // the one that is being drawn
	of       map[string]string // line → the family that it is of
	services []string
	images   map[string]int    // how many of each service were pushed
	files    map[string]string // what became of a service's file: broken or gone
	retries  map[string]int
	faults   int
	away     bool // git
	down     bool // the controller
	skewed   bool // its clock
	two      bool // controllers
	cut      bool // one of them from everything
	small    bool // few services
	forgets  bool // ledgers may be lost
	copied   bool // one was
	deletes  map[string]bool
}

func draw(seed uint64, deeds int) *drawing {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, 1)), files: map[string]string{}, of: map[string]string{}, images: map[string]int{}, retries: map[string]int{}, deletes: map[string]bool{}}
	d.given = append(d.given, fmt.Sprintf("# Drawn by lot: seed %d.", seed))
	if d.small = deeds == 0 && seed%10 != 0; deeds == 0 {
		deeds = 45
		if d.small {
			deeds = 6
		}
	}
	d.world()
	total := 0
	for _, f := range d.families {
		total += f.weight
	}
	for len(d.lines) < deeds || d.faults < 3 {
		n := d.rng.IntN(total)
		i := slices.IndexFunc(d.families, func(f family) bool { n -= f.weight; return n < 0 })
		d.draw(d.families[i])
	}
	return d
}

// draw draws what happens next, and for how long nothing does then.
func (d *drawing) draw(f family) {
	before := len(d.lines)
	d.family = f.name
	f.draw(d, pick(d, d.services...))
	if len(d.lines) == before {
		return
	}
	if f.fault {
		d.faults++
	}
	d.family = ""
	d.say("advance %s", d.while())
}

func (d *drawing) script() string {
	return strings.Join(d.given, "\n") + "\n" + strings.Join(d.lines, "\n") + "\n" + endingDrawn
}

func (d *drawing) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	d.lines = append(d.lines, line)
	if d.family != "" {
		d.of[line] = d.family
	}
}

func pick[T any](d *drawing, of ...T) T { return of[d.rng.IntN(len(of))] }

// chance is true once in so many times.
func (d *drawing) chance(in int) bool { return d.rng.IntN(in) == 0 }

// world says what the world is like, and begins.
func (d *drawing) world() {
	most, pairs := 3, 5
	if d.small {
		most, pairs = 2, 12
	}
	d.services = []string{"orders", "menus", "schools"}[:1+d.rng.IntN(most)]
	given := func(format string, args ...any) { d.given = append(d.given, fmt.Sprintf("given "+format, args...)) }
	given("services %s", strings.Join(d.services, ", "))
	given("that anything may end")
	given("a quick account")
	if d.two = d.chance(pairs); d.two {
		given("two controllers")
	}
	if d.chance(3) {
		given("reads that are stale for up to %ds", 2+d.rng.IntN(20))
	}
	if d.chance(3) {
		given("records that come up to %ds late", 2+d.rng.IntN(15))
	}
	if d.chance(4) {
		given("ECS says SUCCESSFUL %ds before COMPLETED", 2+d.rng.IntN(30))
	}
	// A service that was deleted has no tags. With the ledger lost too nothing remembers what was migrated, good or rejected, and
	// nobody could do right: one story has one of the two.
	d.forgets = !d.two && d.chance(2)
	for _, f := range familiesDrawn {
		if slices.Contains(always, f.name) || d.chance(2) {
			d.families = append(d.families, f)
		}
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

// clock is a time of the world's first day.
func (d *drawing) clock(hours int) string {
	return time.Date(2000, 1, 1, d.rng.IntN(hours), 10*d.rng.IntN(6), 0, 0, time.UTC).Format(time.RFC3339)
}
