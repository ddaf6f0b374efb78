package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
)

// perhaps does a deed that may have become impossible, as when there is no migration to stop.
func (t *Telling) perhaps(do func(*Telling) error) error {
	if err := do(t); err != nil && t.Observer.Err() == nil {
		t.journal.add("story", "that was not to be: %v", err)
	}
	return t.Observer.Err()
}

// garbage is what a slip of the hand leaves at a file's end.
const garbage = "\nspec: [\n"

// wanderVerbs are the deeds of stories that were drawn by lot.
func wanderVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`commit (\w+)\.yaml broken`: func(t *Telling, a []string) error {
			return t.change(a[0]+": a slip of the hand", func() error {
				return t.repo.edit(a[0]+".yaml", func(b []byte) ([]byte, error) { return append(b, garbage...), nil })
			})
		},
		`commit (\w+)\.yaml mended`: func(t *Telling, a []string) error {
			return t.change(a[0]+": mend the file", func() error {
				return t.repo.edit(a[0]+".yaml", func(b []byte) ([]byte, error) { return bytes.ReplaceAll(b, []byte(garbage), nil), nil })
			})
		},
		`take (\w+)\.yaml out of git`: func(t *Telling, a []string) error {
			return t.change("remove "+a[0], func() error { return os.Rename(t.repo.path(a[0]+".yaml"), t.dir+"/"+a[0]+".yaml") })
		},
		`bring (\w+)\.yaml back`: func(t *Telling, a []string) error {
			return t.change("bring back "+a[0], func() error { return os.Rename(t.dir+"/"+a[0]+".yaml", t.repo.path(a[0]+".yaml")) })
		},
		`what if (\S+)(?: of (\S+))?`: func(t *Telling, a []string) error {
			t.journal.add("fault", "%s %s", a[0], a[1])
			_, err := t.account.AddFault(context.Background(), sim.NamedFault{Name: a[0], Target: a[1]})
			return err
		},
		`the controller dies (before|after) its (\d+)\. (request|save) from now`: func(t *Telling, a []string) error {
			n, err := strconv.Atoi(a[1])
			t.meter.killIn(Kill{Save: a[2] == "save", Number: n, After: a[0] == "after"})
			return err
		},
		`all is well again`:           func(t *Telling, _ []string) error { return t.mend() },
		`expect all at rest in (\S+)`: func(t *Telling, a []string) error { return t.all(a[0], t.atRest) },
		`expect all healthy in (\S+)`: func(t *Telling, a []string) error { return t.all(a[0], t.healthy) },
		`commit everybody with (\S+) (\S+)`: func(t *Telling, a []string) error {
			return t.change("everybody: "+a[0], func() error {
				for _, s := range t.opts.Services {
					if err := t.repo.set(s+".yaml", a[0], a[1]); err != nil {
						return err
					}
				}
				return nil
			})
		},
		`everybody gets a good version`: func(t *Telling, _ []string) error { return t.bless() },
	})
}

// mend ends all trouble: faults, alarms, locks on the stack, holds, files, the repository, the controller.
func (t *Telling) mend() error {
	t.faults.Clear()
	t.meter.kill(nil)
	for _, f := range t.account.ArmedFaults() {
		if err := t.account.RemoveFault(f.ID); err != nil {
			return err
		}
	}
	t.account.ECS.RefusePlacement("")
	if !t.repo.gone.IsZero() {
		if err := t.reach(false); err != nil {
			return err
		}
	}
	for _, s := range t.opts.Services {
		if _, err := os.Stat(t.dir + "/" + s + ".yaml"); err == nil {
			if err := os.Rename(t.dir+"/"+s+".yaml", t.repo.path(s+".yaml")); err != nil {
				return err
			}
		}
		err := errors.Join(
			t.Alarm(s+"-5xx", false), t.Alarm(s+"-db-cpu", false), t.account.CFN.SetStatus(s+"-dev", cfn.StackStatusUpdateComplete, ""),
			t.TagByHand(s, rollout.TagHold, "nobody/2000-01-01T00:00:00Z"), t.repo.drop(s+".yaml", "suspend"),
			t.repo.edit(s+".yaml", func(b []byte) ([]byte, error) { return bytes.ReplaceAll(b, []byte(garbage), nil), nil }))
		if err != nil {
			return err
		}
	}
	if err := t.perhaps(func(t *Telling) error { return t.change("all is well", func() error { return nil }) }); err != nil {
		return err
	}
	for _, l := range t.lives() {
		if l.gate.closed() {
			t.bury(l)
		}
	}
	if t.life == nil || t.opts.Two && len(t.lives()) < 2 {
		return t.Start()
	}
	return nil
}

// bless gives each service a version that is good, which must end whatever was before.
func (t *Telling) bless() error {
	for _, s := range t.opts.Services {
		if t.service(s).DesiredCount == 0 && len(t.records[s].GoodAsks) > 0 {
			if err := t.ScaleByHand(s, 2); err != nil {
				return err
			}
		}
		if err := t.Push(s, "blessed"); err != nil {
			return err
		}
		err := t.change(s+": blessed", func() error { return t.repo.set(s+".yaml", "spec.containers.app.image.tag", "blessed") })
		if err != nil {
			return err
		}
	}
	return nil
}

// all waits until it is so of every service.
func (t *Telling) all(limit string, is func(service string) error) error {
	d, err := time.ParseDuration(limit)
	if err != nil {
		return err
	}
	return t.Await(d, func() error {
		for _, s := range t.opts.Services {
			if err := is(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// atRest holds liveness: nothing is in flight, and what is so says why and what comes next.
func (t *Telling) atRest(service string) error {
	v := t.view(service)
	if v == nil {
		return fmt.Errorf("nothing is told of %s", service)
	}
	if v.Record.Rollout != nil {
		return fmt.Errorf("%s has a %s in flight: %s", service, v.Record.Rollout.Kind, v.Status.Why)
	}
	switch v.Status.Phase {
	case condition.PhaseHealthy, condition.PhaseReverted, condition.PhaseStalled:
	case condition.PhaseDegraded:
		// What was good in its bake may still lose tasks later: told, and nothing to be decided.
	case condition.PhaseBlocked:
		// It is tried again for ever, and says so.
	default:
		return fmt.Errorf("%s is %s: %s", service, v.Status.Phase, v.Status.Why)
	}
	if v.Status.Why == "" || v.Status.Next == "" || v.Status.NextActionAt.IsZero() {
		return fmt.Errorf("%s is %s and does not say why (%q), what to do (%q) and when it looks again", service, v.Status.Phase, v.Status.Why, v.Status.Next)
	}
	return nil
}

// healthy: the newest version of git runs and is good.
func (t *Telling) healthy(service string) error {
	if err := t.phase(service, string(condition.PhaseHealthy)); err != nil {
		return fmt.Errorf("%s: %w", service, err)
	}
	return t.serves(service, "blessed")
}
