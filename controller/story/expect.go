package story

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
)

// defaultLimit is how long an expectation waits where its line names no time.
const defaultLimit = 20 * time.Minute

// expectations are the lines that hold the world to something. Those with a limit wait for it; the others look now.
func expectations() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`expect (?:(\w+) )?phase (\w+)(?: within (\S+))?`: func(t *Telling, a []string) error {
			limit, err := within(a[2], defaultLimit)
			return errors.Join(err, t.expectPhase(or(a[0]), a[1], limit))
		},
		`expect (?:(\w+) )?phase (\w+) for (\S+)`: func(t *Telling, a []string) error {
			d, err := time.ParseDuration(a[2])
			return errors.Join(err, t.during(d, func() error { return t.phase(or(a[0]), a[1]) }))
		},
		`expect (?:(\w+) )?ended (\w+) (\w+)(?: by (\w+))?(?: within (\S+))?`: func(t *Telling, a []string) error {
			limit, err := within(a[4], defaultLimit)
			return errors.Join(err, t.expectEnded(or(a[0]), ending{rollout.Kind(a[1]), rollout.Result(a[2]), a[3]}, limit))
		},
		`expect (?:(\w+) )?ended (\w+)s (\w+)(?: by (\w+))?, then one (\w+)`: func(t *Telling, a []string) error {
			return t.expectEndedAtLast(or(a[0]), ending{rollout.Kind(a[1]), rollout.Result(a[2]), a[3]}, rollout.Result(a[4]))
		},
		`expect (?:(\w+) )?condition (\w+) (\w+)(?: because (\w+))?`: func(t *Telling, a []string) error { return t.condition(or(a[0]), a[1], a[2], a[3]) },
		`expect (?:(\w+) )?to say (.+)`:                              func(t *Telling, a []string) error { return t.says(or(a[0]), a[1]) },
		`expect (?:(\w+) )?image (\w+) to serve`: func(t *Telling, a []string) error {
			return t.Await(defaultLimit, func() error { return t.serves(or(a[0]), a[1]) })
		},
		`expect (?:(\w+) )?count (\d+)`: func(t *Telling, a []string) error {
			if got := strconv.Itoa(int(t.service(or(a[0])).DesiredCount)); got != a[1] {
				return fmt.Errorf("the count is %s, want %s", got, a[1])
			}
			return nil
		},
		`expect (\d+) (\w+) requests?(?: within (\S+))?`: func(t *Telling, a []string) error {
			limit, err := within(a[2], 0)
			return errors.Join(err, t.Await(limit, func() error { return t.requests(a[1], a[0]) }))
		},
		`expect (\d+) migrations? of (?:(\w+) )?image (\w+)`: func(t *Telling, a []string) error { return t.migrations(or(a[1]), a[2], a[0]) },
		`expect no write for (\S+)`: func(t *Telling, a []string) error {
			d, err := time.ParseDuration(a[0])
			from := time.Now()
			return errors.Join(err, t.during(d, func() error { return t.Observer.quietSince(from) }))
		},
		`expect (?:(\w+) )?tag (\S+)`: func(t *Telling, a []string) error { return t.tagged(or(a[0]), a[1]) },
		`note the deployment(?: of (\w+))?`: func(t *Telling, a []string) error {
			t.noted[or(a[0])] = aws.ToString(primary(t.service(or(a[0]))).Id)
			return nil
		},
		`expect the same deployment(?: of (\w+))?`: func(t *Telling, a []string) error {
			if id := aws.ToString(primary(t.service(or(a[0]))).Id); id != t.noted[or(a[0])] {
				return fmt.Errorf("deployment %s serves, want %s untouched", id, t.noted[or(a[0])])
			}
			return nil
		},
		`expect the verdict within (\S+) of the end of the bake`: func(t *Telling, a []string) error { return t.verdictIn("orders", a[0]) },
		`expect the revert within (\S+) of (the second crash|the panic|the alarm|ECS giving up)`: func(t *Telling, a []string) error {
			return t.revertIn("orders", a[0], a[1])
		},
		`expect git's trouble to be told`: func(t *Telling, _ []string) error {
			return t.Await(defaultLimit, func() error {
				if t.life.app.Board().Snapshot().Repo.Error == "" {
					return errors.New("nothing is told of git's trouble")
				}
				return nil
			})
		},
		`expect the controller to end: (.+)`: func(t *Telling, a []string) error { return t.ends(a[0]) },
	})
}

func (t *Telling) expectPhase(service, want string, limit time.Duration) error {
	return t.Await(limit, func() error { return t.phase(service, want) })
}

func (t *Telling) phase(service, want string) error {
	v := t.view(service)
	switch {
	case v == nil:
		return fmt.Errorf("nothing is told of %s, want phase %s", service, want)
	case string(v.Status.Phase) != want:
		return fmt.Errorf("phase %s (%s), want %s", v.Status.Phase, v.Status.Why, want)
	}
	return nil
}

// ending is how a rollout must end. An empty check means none, or any one after a success.
type ending struct {
	kind   rollout.Kind
	result rollout.Result
	check  string
}

// expectEnded waits for the next finished rollout of the service, and holds it to the ending.
func (t *Telling) expectEnded(service string, want ending, limit time.Duration) error {
	n := t.verdicts[service]
	err := t.Await(limit, func() error {
		if len(t.ended(service)) <= n {
			return fmt.Errorf("no rollout of %s has ended, want a %s %s (%v)", service, want.kind, want.result, t.phase(service, "?"))
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.verdicts[service]++
	got := t.ended(service)[n]
	check := ""
	if got.Evidence != nil {
		check = got.Evidence.Check
	}
	if got.Kind != want.kind || got.Result != want.result || want.check != "" && check != want.check {
		return fmt.Errorf("a %s ended %s by %q (%s), want a %s %s by %q", got.Kind, got.Result, check, got.Message, want.kind, want.result, want.check)
	}
	return nil
}

// expectEndedAtLast holds the next finished rollouts, one at least, to the ending, and the one after them to the result: what
// is tried again by itself is tried until it can be.
func (t *Telling) expectEndedAtLast(service string, each ending, result rollout.Result) error {
	for first := true; ; first = false {
		err := t.Await(defaultLimit, func() error {
			if len(t.ended(service)) <= t.verdicts[service] {
				return fmt.Errorf("no rollout of %s has ended, want a %s %s (%v)", service, each.kind, result, t.phase(service, "?"))
			}
			return nil
		})
		if err != nil {
			return err
		}
		next := t.ended(service)[t.verdicts[service]]
		if !first && next.Result == result {
			each = ending{each.kind, result, ""}
		}
		if err := t.expectEnded(service, each, 0); err != nil || each.result == result {
			return err
		}
	}
}

func (t *Telling) condition(service, kind, truth, reason string) error {
	return t.Await(defaultLimit, func() error {
		v := t.view(service)
		if v == nil {
			return fmt.Errorf("nothing is told of %s", service)
		}
		c := v.Status.Condition(condition.Type(kind))
		if string(c.Status) != truth || reason != "" && c.Reason != reason {
			return fmt.Errorf("%s is %s because %s (%s), want %s because %s", kind, c.Status, c.Reason, c.Message, truth, reason)
		}
		return nil
	})
}

func (t *Telling) says(service, pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	return t.Await(defaultLimit, func() error {
		v := t.view(service)
		if v == nil || !re.MatchString(v.Status.Words()) {
			return fmt.Errorf("it does not say so but: %v", t.phase(service, "?"))
		}
		return nil
	})
}

func primary(s *types.Service) types.Deployment {
	if s != nil {
		for _, d := range s.Deployments {
			if aws.ToString(d.Status) == "PRIMARY" {
				return d
			}
		}
	}
	return types.Deployment{}
}

// running is the image of the service's PRIMARY deployment.
func (t *Telling) running(service string) string {
	s := t.service(service)
	if s == nil {
		return ""
	}
	for _, c := range t.definition(aws.ToString(s.TaskDefinition)).ContainerDefinitions {
		if tag := t.tagOf(service, aws.ToString(c.Image)); tag != "" {
			return tag
		}
	}
	return ""
}

func (t *Telling) serves(service, tag string) error {
	d := primary(t.service(service))
	if got := t.running(service); got != tag || d.RolloutState != types.DeploymentRolloutStateCompleted || d.RunningCount < 1 {
		return fmt.Errorf("image %q is %s with %d tasks, want %s complete", got, d.RolloutState, d.RunningCount, tag)
	}
	return nil
}

// requests counts the requests that took effect. A killed controller may have had to repeat one, but none that hurts.
func (t *Telling) requests(operation, want string) error {
	n, err := strconv.Atoi(want)
	if err != nil {
		return err
	}
	got, most := t.Observer.Effects(operation), n
	if t.opts.Kill != nil && operation != "StopTask" {
		most++
	}
	if got < n || got > most {
		return fmt.Errorf("%d requests %s took effect, want %s", got, operation, want)
	}
	return nil
}

func (t *Telling) migrations(service, tag, want string) error {
	if got := strconv.Itoa(t.Observer.Migrations(service, tag)); got != want {
		return fmt.Errorf("%s migrations of image %s were run, want %s", got, tag, want)
	}
	return nil
}

func (t *Telling) tagged(service, key string) error {
	return t.Await(defaultLimit, func() error {
		for _, tag := range t.service(service).Tags {
			if aws.ToString(tag.Key) == key && aws.ToString(tag.Value) != "" {
				return nil
			}
		}
		return fmt.Errorf("the service has no tag %s", key)
	})
}

// ends waits until the controller has ended by itself, with an error that says so.
func (t *Telling) ends(says string) error {
	if t.life == nil {
		return errors.New("the controller does not run")
	}
	err := t.Await(defaultLimit, func() error {
		select {
		case <-t.life.done:
			return nil
		default:
			return errors.New("the controller goes on")
		}
	})
	if err != nil {
		return err
	}
	if got := fmt.Sprint(t.bury(t.life)); !strings.Contains(got, says) {
		return fmt.Errorf("it ended with %q, want %q", got, says)
	}
	return nil
}
