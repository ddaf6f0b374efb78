package story

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/go-git/go-git/v5"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// How a drawn story ends: all is well again, and everything must come to rest.

// mend ends all trouble: faults, alarms, stacks at work, holds, files, the repository, services, the controllers.
func (t *Telling) mend() error {
	t.faults.Clear()
	t.meter.kill(nil)
	for _, f := range t.account.ArmedFaults() {
		if err := t.account.RemoveFault(f.ID); err != nil {
			t.journal.add("fault", "%s cannot be taken back: %v", f.Name, err)
		}
	}
	for _, p := range t.passing {
		t.Observer.changed(p.secretOf)
	}
	t.passing, t.late = nil, nil
	t.account.ECS.RefusePlacement("")
	if err := t.jump(-time.Duration(t.skew.Load())); err != nil {
		return err
	}
	if !t.repo.gone.IsZero() {
		if err := t.reach(false); err != nil {
			return err
		}
	}
	for _, s := range t.opts.Services {
		if err := errors.Join(t.mendService(s), t.mendFile(s), t.assume(s)); err != nil {
			return fmt.Errorf("mend %s: %w", s, err)
		}
	}
	err := errors.Join(t.repo.drop(desired.EnvironmentFile, "windows"), t.repo.drop(desired.EnvironmentFile, "maxConcurrentRollouts"))
	if err = errors.Join(err, t.perhaps(func(t *Telling) error { return t.change("all is well", func() error { return nil }) })); err != nil {
		return err
	}
	for _, l := range t.lives() {
		l.gate.heal()
		if l.gate.closed() || l.ended() {
			t.bury(l)
		}
	}
	if t.life == nil || t.opts.Two && len(t.lives()) < 2 {
		return t.Start()
	}
	return nil
}

// mendService puts right what is the infrastructure's of a service.
func (t *Telling) mendService(name string) error {
	if u := t.updates[name]; u != nil {
		u.cancel()
	}
	err := t.account.CFN.SetStatus(name+"-dev", cfn.StackStatusUpdateComplete, "")
	for _, alarm := range []string{name + "-5xx", name + "-db-cpu"} {
		err = errors.Join(err, t.AlarmThere(alarm, true), t.Alarm(alarm, false))
	}
	// One that was deleted drains first.
	err = errors.Join(err, t.Await(defaultLimit, func() error {
		if s := t.service(name); s != nil && aws.ToString(s.Status) == "ACTIVE" {
			return nil
		}
		return t.CreateByHand(name)
	}))
	if err != nil {
		return err
	}
	return t.TagByHand(name, rollout.TagHold, "nobody/2000-01-01T00:00:00Z")
}

// mendFile brings a service's file back as it was before it was broken or gone, and ends what makes it wait.
func (t *Telling) mendFile(name string) error {
	file, aside := name+".yaml", t.dir+"/"+name+".yaml"
	if _, err := os.Stat(aside); err == nil {
		if err := os.Rename(aside, t.repo.path(file)); err != nil {
			return err
		}
	}
	if _, err := os.Stat(t.repo.path(file)); err != nil { // a force-push took it back
		if err := os.WriteFile(t.repo.path(file), forService(baseService, name), 0o600); err != nil {
			return err
		}
	}
	err := errors.Join(t.repo.drop(file, "suspend"),
		t.repo.edit(file, func(b []byte) ([]byte, error) { return bytes.ReplaceAll(b, []byte(garbage), nil), nil }))
	if text, readErr := os.ReadFile(t.repo.path(file)); err != nil || readErr != nil || !bytes.Contains(text, []byte(desired.CompatibilityBreaking)) {
		return errors.Join(err, readErr)
	}
	return errors.Join(t.repo.drop(file, "onFailure"), t.repo.add(file, "onFailure: freeze")) // a revert would be refused
}

// assume says that a migration failed of which nobody but a person can know what became. Until then its lock is held.
func (t *Telling) assume(service string) error {
	rec := t.record(service)
	lost := rec.Lost
	if lost == nil {
		return nil
	}
	file := service + ".yaml"
	var retry error
	if lost.Assume != "" { // what git said before counts again with a raised retry only
		retry = errors.Join(t.repo.drop(file, "retry"), t.repo.add(file, fmt.Sprint("retry: ", rec.Intent.Service.Spec.Retry+1)))
	}
	return errors.Join(retry, t.repo.drop(file, "migration"), t.repo.add(file, fmt.Sprintf(
		"migration: {container: app, command: [/worker, migrate], timeout: 5m, lock: %s, idempotent: false, compatibility: backward, assume: failed}", lost.Lock)))
}

// bless gives each service a version that is good, which must end whatever was before.
func (t *Telling) bless() error {
	if err := t.Advance(t.opts.Doubts.StaleReadMax + time.Second); err != nil { // what is read from here on is so
		return err
	}
	for _, s := range t.opts.Services {
		if err := t.assume(s); err != nil {
			return err
		}
		if t.service(s).DesiredCount == 0 && len(t.record(s).GoodAsks) > 0 {
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

// answer says what became of a migration that the controller lost after all was well already, once: a successor may find that out late.
func (t *Telling) answer(service string) error {
	lost := t.record(service).Lost
	if lost == nil || t.said["migration of "+service] == lost.Key {
		return nil
	}
	err := t.change(service+": assume", func() error { return t.assume(service) })
	if err == nil || errors.Is(err, git.ErrEmptyCommit) { // git says it already
		t.said["migration of "+service] = lost.Key
		return nil
	}
	return err
}

// atRest holds liveness: nothing is in flight, and what is so says why and what comes next.
func (t *Telling) atRest(service string) error {
	if err := t.answer(service); err != nil {
		return err
	}
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
	case condition.PhasePending:
		// Of all that a version may wait for only one stays once all is well: a service that it depends on and that has stalled,
		// or was put back. That it is at rest itself is held of it too.
		if c := v.Status.Condition(condition.Synced); c.Reason != string(rollout.StateWaitingDependency) {
			return fmt.Errorf("%s is %s: %s", service, v.Status.Phase, v.Status.Why)
		}
	default:
		return fmt.Errorf("%s is %s: %s", service, v.Status.Phase, v.Status.Why)
	}
	if v.Status.Why == "" || v.Status.Next == "" || v.Status.NextActionAt.IsZero() {
		return fmt.Errorf("%s is %s and does not say why (%q), what to do (%q) and when it looks again", service, v.Status.Phase, v.Status.Why, v.Status.Next)
	}
	return nil
}

// healthy: the newest version of git runs and is good. Where an image or a secret of the last good version is gone for good, somebody
// does what the controller says, once.
func (t *Telling) healthy(service string) error {
	if err := t.answer(service); err != nil {
		return err
	}
	if v := t.view(service); v != nil && v.Status.Condition(condition.Blocked).Reason == "NoWayBack" && strings.Contains(v.Status.Next, "spec.emergency") && t.said["emergency of "+service] == "" {
		until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		if err := t.change(service+": emergency", func() error {
			return errors.Join(t.repo.drop(service+".yaml", "emergency"), t.repo.add(service+".yaml", "emergency: {reason: no way back, owner: kitchen, until: "+until+"}"))
		}); err != nil {
			return err
		}
		t.said["emergency of "+service] = "no way back"
	}
	if err := t.phase(service, string(condition.PhaseHealthy)); err != nil {
		return fmt.Errorf("%s: %w", service, err)
	}
	return t.serves(service, "blessed")
}
