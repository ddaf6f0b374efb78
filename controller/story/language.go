package story

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"golang.org/x/tools/txtar"

	"github.com/canteen/deploy/controller/plan"
)

// Story is a script and the files that it names.
type Story struct {
	Name    string
	Tells   string // its first sentence
	Options Options
	steps   []step
	files   map[string][]byte
}

// step is one line of a script.
type step struct {
	line int
	text string
	do   func(*Telling) error
}

// Telling is one run of a story.
type Telling struct {
	*World
	story    *Story
	troubles []int // that were added and have not ended

	planned   []plan.Step // what the newest expected plan would do at once
	plannedAt []string    // what was written until then
}

// verb is one form of a line. Its pattern takes the whole line; groups that are optional are empty.
type verb struct {
	begins  string // what each of its lines begins with
	pattern *regexp.Regexp
	do      func(t *Telling, args []string) error
}

// forms builds verbs of their patterns.
func forms(list map[string]func(t *Telling, args []string) error) []verb {
	var out []verb
	for pattern, do := range list {
		begins, _ := regexp.MustCompile(pattern).LiteralPrefix()
		out = append(out, verb{begins, regexp.MustCompile("^" + pattern + "$"), do})
	}
	return out
}

// Read reads a story. An error names the line.
func Read(name string, data []byte) (*Story, error) {
	archive := txtar.Parse(data)
	s := &Story{Name: name, files: map[string][]byte{}, Options: Options{Seed: 1}}
	for _, f := range archive.Files {
		s.files[f.Name] = f.Data
	}
	all := allVerbs()
	for i, text := range strings.Split(string(archive.Comment), "\n") {
		text = strings.TrimSpace(text)
		if rest, ok := strings.CutPrefix(text, "#"); ok {
			if len(s.steps) == 0 {
				s.Tells = strings.TrimSpace(s.Tells + " " + strings.TrimSpace(rest))
			}
			continue
		}
		if text == "" {
			continue
		}
		given, err := s.given(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		if given {
			continue
		}
		do, err := find(all, text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		s.steps = append(s.steps, step{i + 1, text, do})
	}
	if s.Tells == "" {
		return nil, fmt.Errorf("%s:1: a story begins with a comment that says what it tells", name)
	}
	return s, nil
}

func find(all []verb, text string) (func(*Telling) error, error) {
	if rest, ok := strings.CutPrefix(text, "perhaps "); ok {
		do, err := find(all, rest)
		return func(t *Telling) error { return t.perhaps(do) }, err
	}
	var found func(*Telling) error
	for _, v := range all {
		if !strings.HasPrefix(text, v.begins) {
			continue
		}
		if m := v.pattern.FindStringSubmatch(text); m != nil {
			if found != nil {
				return nil, fmt.Errorf("%q can be read in two ways", text)
			}
			found = func(t *Telling) error { return v.do(t, m[1:]) }
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%q is not a line of this language; README.md has all forms", text)
	}
	return found, nil
}

var (
	givenServices = regexp.MustCompile(`^given services (.+)$`)
	givenWorkers  = regexp.MustCompile(`^given (\d+) workers$`)
	givenStale    = regexp.MustCompile(`^given reads that are stale for up to (\S+)$`)
	givenLate     = regexp.MustCompile(`^given records that come up to (\S+) late$`)
	givenEarly    = regexp.MustCompile(`^given ECS says SUCCESSFUL (\S+) before COMPLETED$`)
)

// given reads the lines that say what the world is like from its beginning.
func (s *Story) given(text string) (bool, error) {
	if m := givenServices.FindStringSubmatch(text); m != nil {
		s.Options.Services = strings.Fields(strings.ReplaceAll(m[1], ",", " "))
		return true, nil
	}
	if m := givenWorkers.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		s.Options.Workers = n
		return true, err
	}
	if text == "given the whole of AWS's request limits" {
		s.Options.WholeLimits = true
		return true, nil
	}
	if text == "given that anything may end" {
		s.Options.Wanders = true
		return true, nil
	}
	if text == "given two controllers" {
		s.Options.Two = true
		return true, nil
	}
	if text == "given a small disk for the ledger" {
		s.Options.SmallDisk = true
		return true, nil
	}
	if text == "given a quick account" {
		s.Options.Timing = quick()
		return true, nil
	}
	if given, err := s.givenEvents(text); given {
		return true, err
	}
	if s.givenTold(text) {
		return true, nil
	}
	for pattern, into := range map[*regexp.Regexp][]*time.Duration{
		givenStale: {&s.Options.Doubts.StaleReadMax},
		givenLate:  {&s.Options.Doubts.SDRecordLagMax, &s.Options.Doubts.TaskRecordLagMax},
		givenEarly: {&s.Options.Doubts.SDSuccessBeforeClassic},
	} {
		m := pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		d, err := time.ParseDuration(m[1])
		for _, target := range into {
			*target = d
		}
		return true, err
	}
	return false, nil
}

// Tell runs a story in a world of its own below dir, inside a bubble. The world is closed when it returns. An error says
// which line did not come true.
func (s *Story) Tell(dir string, change func(*Options)) (w *World, err error) {
	options := s.Options
	if change != nil {
		change(&options)
	}
	w, err = New(dir, options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	t := &Telling{World: w, story: s}
	for _, step := range s.steps {
		w.journal.add("story", "line %d: %s", step.line, step.text)
		if err := step.do(t); err != nil {
			return w, fmt.Errorf("%s:%d: %s: %w", s.Name, step.line, step.text, err)
		}
	}
	return w, t.finish()
}

// finish holds what is true of every story's end: nothing ended that it did not expect, and no secret came to light.
func (t *Telling) finish() error {
	if t.killed() {
		if err := t.advance(time.Minute); err != nil { // a controller that was killed at the very end is started again too
			return err
		}
	}
	err := t.Observer.Err()
	for _, service := range t.opts.Services {
		if t.opts.Wanders {
			break
		}
		for _, e := range t.ended(service)[t.verdicts[service]:] {
			err = errors.Join(err, fmt.Errorf("the story does not tell that a %s of %s ended %s: %s", e.Kind, service, e.Result, e.Message))
		}
	}
	return errors.Join(err, t.secretive(), t.toldWell(), t.tracedWell())
}

// or is the service of a line that may leave it out.
func or(service string) string {
	if service == "" {
		return "orders"
	}
	return service
}

// allVerbs are the verbs with their patterns compiled, once for all stories.
var allVerbs = sync.OnceValue(verbs)

// verbs are all forms of lines but those of expect.go.
func verbs() []verb {
	return append(forms(map[string]func(*Telling, []string) error{
		`push (?:(\w+) )?image (\w+)(?:: (.+))?`: func(t *Telling, a []string) error {
			var does []string
			if a[2] != "" {
				does = strings.Split(a[2], ", ")
			}
			return t.Push(or(a[0]), a[1], does...)
		},
		`(?:(\w+) )?image (\w+) can be pulled now`:    func(t *Telling, a []string) error { return t.Mend(or(a[0]), a[1]) },
		`(?:(\w+) )?image (\w+) cannot be pulled now`: func(t *Telling, a []string) error { return t.Break(or(a[0]), a[1]) },
		`(?:(\w+) )?image (\w+) runs`:                 func(t *Telling, a []string) error { return t.runs(or(a[0]), a[1]) },

		`commit (?:(\w+) )?image (\w+)`: func(t *Telling, a []string) error {
			return t.change(or(a[0])+": image "+a[1], func() error { return t.repo.set(or(a[0])+".yaml", "spec.containers.app.image.tag", a[1]) })
		},
		`commit (\w+)\.yaml with (\S+) (\S+)`: func(t *Telling, a []string) error {
			return t.change(a[0]+": "+a[1], func() error { return t.repo.set(a[0]+".yaml", a[1], a[2]) })
		},
		`commit (?:(\w+) )?also (\w+): (.+)`: func(t *Telling, a []string) error {
			return t.change(or(a[0])+": "+a[1], func() error {
				return errors.Join(t.repo.drop(or(a[0])+".yaml", a[1]), t.repo.add(or(a[0])+".yaml", a[1]+": "+a[2]))
			})
		},
		`commit (?:(\w+) )?without (\w+)`: func(t *Telling, a []string) error {
			return t.change(or(a[0])+": no "+a[1], func() error { return t.repo.drop(or(a[0])+".yaml", a[1]) })
		},
		`commit the file (\S+) as (\S+)`: func(t *Telling, a []string) error {
			return t.change(a[1], func() error { return os.WriteFile(t.repo.path(a[1]), t.story.files[a[0]], 0o600) })
		},
		`commit that (\S+(?:, \S+)+) are gone`: func(t *Telling, a []string) error {
			return t.change("remove "+a[0], func() error {
				var err error
				for _, file := range strings.Split(a[0], ", ") {
					err = errors.Join(err, os.Remove(t.repo.path(file)))
				}
				return err
			})
		},
		`commit confirming (\d+|the commit before)`: func(t *Telling, a []string) error { return t.confirm(a[0]) },
		`commit that (\S+) is gone`: func(t *Telling, a []string) error {
			return t.change("remove "+a[0], func() error { return os.Remove(t.repo.path(a[0])) })
		},
		`commit nothing of ours`: func(t *Telling, _ []string) error { return t.change("words", t.notes) },
		`git goes away`:          func(t *Telling, _ []string) error { return t.reach(true) },
		`git comes back`:         func(t *Telling, _ []string) error { return t.reach(false) },

		`advance (\S+)`: func(t *Telling, a []string) error {
			d, err := time.ParseDuration(a[0])
			return errors.Join(err, t.advance(d))
		},
		`start`:                      func(t *Telling, _ []string) error { return t.Start() },
		`start with an empty ledger`: func(t *Telling, _ []string) error { return t.StartAnew() },
		`kill from here on`:          func(t *Telling, _ []string) error { t.meter.begin(); return nil },
		`crash`:                      func(t *Telling, _ []string) error { return t.Crash() },
		`stop`:                       func(t *Telling, _ []string) error { return t.Stop() },
	}), slices.Concat(handVerbs(), thingVerbs(), infrastructureVerbs(), pairVerbs(), wanderVerbs(), planVerbs(), hintVerbs(), hostileVerbs(), toldVerbs(), expectations())...)
}

func handVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`by hand (?:(\w+) )?deploy image (\w+)`:     func(t *Telling, a []string) error { return t.DeployByHand(or(a[0]), a[1]) },
		`by hand (?:(\w+) )?stop a task`:            func(t *Telling, a []string) error { return t.StopTaskByHand(or(a[0]), false) },
		`by hand (?:(\w+) )?stop the migration`:     func(t *Telling, a []string) error { return t.StopTaskByHand(or(a[0]), true) },
		`by hand (?:(\w+) )?force a new deployment`: func(t *Telling, a []string) error { return t.ForceByHand(or(a[0])) },
		`by hand (?:(\w+) )?roll back`:              func(t *Telling, a []string) error { return t.RollBackByHand(or(a[0])) },
		`by hand (?:(\w+) )?tag (\S+) (\S+)`:        func(t *Telling, a []string) error { return t.TagByHand(or(a[0]), a[1], a[2]) },
		`by hand (?:(\w+) )?change the template`:    func(t *Telling, a []string) error { return t.ChangeTemplate(or(a[0])) },
		`by hand (?:(\w+) )?scale to (\d+)`: func(t *Telling, a []string) error {
			n, err := strconv.Atoi(a[1])
			if err != nil {
				return err
			}
			return t.ScaleByHand(or(a[0]), n)
		},
		`alarm (\S+) turns (red|green)`: func(t *Telling, a []string) error { return t.Alarm(a[0], a[1] == "red") },
		`the stack of (\w+) is (\w+)`: func(t *Telling, a []string) error {
			return t.account.CFN.SetStatus(a[0]+"-dev", types.StackStatus(a[1]), "")
		},
		`Fargate has no room`: func(t *Telling, _ []string) error {
			t.account.ECS.RefusePlacement("Capacity is unavailable at this time. Please try again later or in a different availability zone.")
			return nil
		},
		`Fargate has room again`: func(t *Telling, _ []string) error { t.account.ECS.RefusePlacement(""); return nil },
		`fault: (\w+) (is throttled|fails|fails after its effect|gets no answer|is lost|is denied|hangs)(?:, (\d+) times)?`: func(t *Telling, a []string) error {
			return t.fault(a[0], a[1], a[2])
		},
		`faults end`: func(t *Telling, _ []string) error { t.faults.Clear(); return nil },
	})
}
