package script

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
)

// Runner runs tasks by a Book. It is an ecs.Runner and, for accounts without a
// registry, an ecs.Images.
type Runner struct {
	mu      sync.Mutex
	books   []Book
	used    map[*Rule]int     // of those with Times
	digests map[string]string // digest → the reference that it was resolved from
}

// New makes a Runner.
func New(book Book) *Runner {
	r := &Runner{digests: map[string]string{}}
	r.Set(book)
	return r
}

// Set replaces the book, for containers that start from now on, by one or by several, of which the first counts first. What they have
// must not be changed afterwards.
func (r *Runner) Set(books ...Book) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.books, r.used = books, map[*Rule]int{}
}

// Resolve gives each reference a digest of its own and fails with the PullError
// of the first rule that matches the image and has one. Such rules must not name
// a container or a command.
func (r *Runner) Resolve(image string) (string, ecs.ImageSpec, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _, digest := split(image)
	known := image
	if from := r.digests[digest]; from != "" {
		known = from
	}
	if digest == "" {
		sum := sha256.Sum256([]byte(image))
		digest = "sha256:" + hex.EncodeToString(sum[:])
		r.digests[digest] = image
	}
	if rule := r.use(func(rule *Rule) bool {
		return rule.Script.PullError != "" && rule.Match.matches("", known, digest, nil)
	}); rule != nil {
		return "", nil, errors.New(rule.Script.PullError)
	}
	return digest, nil, nil
}

// use finds the first rule that holds and is not used up, nil for none. It is called with the lock held.
func (r *Runner) use(holds func(*Rule) bool) *Rule {
	for _, book := range r.books {
		for i := range book {
			rule := &book[i]
			if !holds(rule) || rule.Times > 0 && r.used[rule] >= rule.Times {
				continue
			}
			if rule.Times > 0 {
				r.used[rule]++
			}
			return rule
		}
	}
	return nil
}

// pick finds a container's script.
func (r *Runner) pick(c ecs.ContainerSpec) Script {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rule := r.use(func(rule *Rule) bool {
		return rule.Script.PullError == "" && rule.Match.matches(c.Name, c.Image, c.Digest, c.Command)
	}); rule != nil {
		return rule.Script
	}
	return Script{}
}

// Start begins the scripts of all containers.
func (r *Runner) Start(l ecs.Launch, report func(ecs.Report)) (ecs.Process, error) {
	p := &process{at: time.Now()}
	for _, c := range l.Containers {
		p.actors = append(p.actors, &actor{spec: c, script: r.pick(c), report: report, at: p.at})
	}
	for _, a := range p.actors {
		if a.script.StartError != "" {
			return nil, errors.New(a.script.StartError)
		}
	}
	for _, a := range p.actors {
		a.begin()
	}
	return p, nil
}

// process is one task.
type process struct {
	at     time.Time
	actors []*actor
}

// Stop ends every container that still runs.
func (p *process) Stop() {
	for _, a := range p.actors {
		a.stop()
	}
}

// Address is always "": nothing listens.
func (p *process) Address(int32) string { return "" }

// Probe answers for the container that has the port.
func (p *process) Probe(port int32) ecs.Answer {
	for _, a := range p.actors {
		for _, own := range a.spec.Ports {
			if own == port {
				return a.probe(time.Since(p.at))
			}
		}
	}
	return ecs.Answer{}
}

// actor is one container.
type actor struct {
	spec   ecs.ContainerSpec
	script Script
	report func(ecs.Report)
	at     time.Time

	mu       sync.Mutex
	timers   [2]*time.Timer // by slot
	stopping bool
	ended    bool
}

// What an actor may be waiting for.
const (
	slotScript = iota // the script's next moment
	slotStop          // the end after Stop
)

// moment is one thing that a script does.
type moment struct {
	after time.Duration
	do    func()
}

// begin plays the script. One timer at a time leads from moment to moment, so
// that a line and an exit of the same instant come in this order.
func (a *actor) begin() {
	var play []moment
	for _, line := range a.script.Logs {
		play = append(play, moment{line.After, func() { a.spec.Log(time.Now(), line.Text) }})
	}
	health := a.script.ContainerHealth
	if health == nil && a.spec.HealthCheck != nil {
		health = []Health{{After: a.script.StartsIn, Status: types.HealthStatusHealthy}}
	}
	for _, h := range health {
		play = append(play, moment{h.After, func() { a.report(ecs.Report{Container: a.spec.Name, Health: h.Status}) }})
	}
	if x := a.script.Exit; x != nil {
		play = append(play, moment{x.After, func() { a.end(x.Code, x.Reason) }})
	}
	slices.SortStableFunc(play, func(x, y moment) int { return cmp.Compare(x.after, y.after) })
	a.next(play)
}

func (a *actor) next(play []moment) {
	if len(play) == 0 {
		return
	}
	a.later(slotScript, play[0].after-time.Since(a.at), func() {
		play[0].do()
		a.next(play[1:])
	})
}

// later runs f unless the container has ended before.
func (a *actor) later(slot int, d time.Duration, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.timers[slot] = time.AfterFunc(d, func() {
		a.mu.Lock()
		ended := a.ended
		a.mu.Unlock()
		if !ended {
			f()
		}
	})
}

func (a *actor) end(code int32, reason string) {
	a.mu.Lock()
	ended := a.ended
	a.ended = true
	for _, t := range a.timers {
		if t != nil {
			t.Stop()
		}
	}
	a.mu.Unlock()
	if !ended {
		a.report(ecs.Report{Container: a.spec.Name, Exit: &ecs.Exit{Code: code, Reason: reason}})
	}
}

// stop is SIGTERM, and SIGKILL where the script takes too long.
func (a *actor) stop() {
	a.mu.Lock()
	again := a.stopping
	a.stopping = true
	a.mu.Unlock()
	if again {
		return
	}
	x := a.script.OnStop
	if x == (Exit{}) {
		x.After = time.Second
	}
	if x.After > a.spec.StopTimeout {
		x = Exit{After: a.spec.StopTimeout, Code: 137}
	}
	a.later(slotStop, x.After, func() { a.end(x.Code, x.Reason) })
}

func (a *actor) probe(age time.Duration) ecs.Answer {
	a.mu.Lock()
	ended := a.ended
	a.mu.Unlock()
	s := a.script
	sick := s.HealthyFor > 0 && age >= s.HealthyFor
	switch {
	case ended || age < s.StartsIn:
		return ecs.Answer{}
	case s.Hangs || sick && s.HangsAfter:
		return ecs.Answer{Timeout: true}
	case sick:
		return ecs.Answer{Status: 503}
	case s.HealthStatus == 0:
		return ecs.Answer{Status: 200}
	}
	return ecs.Answer{Status: s.HealthStatus}
}
