package account

import (
	"context"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Observe looks at one service: always at its stack, at the service itself and at the tags of its revisions, and at what
// the look names besides. It is an error only where stack or service cannot be looked at; the answer then has what was
// seen until there. Any other fact that fails is named in Missing, with its fault's kind. A service that does not exist is
// StatusMissing.
//
// Answers that cannot change are kept for ever, others for the ages in Options; look.Fresh does without those that have an age, unless
// they came since look.Since. The parameter keeps its age: nothing that is begun depends on it.
func (a *Account) Observe(ctx context.Context, intent *rollout.Intent, look observed.Look) (observed.Service, error) {
	s := observed.Service{At: a.opts.Clock()}
	where, err := a.stack(ctx, stackName(intent, look), a.stackAge(look))
	s.Stack = where.Stack
	if err != nil {
		return s, err
	}
	if err := a.describeService(ctx, where, freshnessOf(look), &s); err != nil {
		return s, err
	}
	try := func(fact observed.Fact, wanted bool, do func() error) {
		if !wanted {
			return
		}
		if err := do(); err != nil {
			s.Missing = append(s.Missing, observed.Missing{Fact: fact, Kind: string(fault.KindOf(err)), Reason: fault.ReasonOf(err), Message: err.Error()})
		}
	}
	exists := s.Status == observed.StatusActive || s.Status == observed.StatusDraining
	try(observed.FactImages, len(look.Containers) > 0, func() error { return a.observeImages(ctx, &s, look) })
	try(observed.FactTemplate, look.Template, func() (err error) { s.Template, err = a.template(ctx, where, freshnessOf(look)); return err })
	try(observed.FactRevisions, true, func() error { return a.observeRevisions(ctx, &s, look) })
	try(observed.FactStartable, len(look.Startable) > 0, func() error { return a.observeStartable(ctx, &s, look) })
	try(observed.FactSecrets, len(look.Secrets) > 0, func() error { return a.observeSecrets(ctx, &s, look) })
	try(observed.FactParameter, look.Parameter, func() (err error) { s.Parameter, err = a.parameter(ctx, where); return err })
	try(observed.FactServiceDeployment, exists && look.ServiceDeployment && look.Deployment != "", func() error { return a.observeServiceDeployment(ctx, &s, look) })
	try(observed.FactTasks, exists && (look.Tasks || look.Logs != nil || look.Alike != nil), func() error { return a.observeTasks(ctx, &s, look) })
	try(observed.FactTargets, look.Targets, func() error { return a.observeTargets(ctx, &s) })
	try(observed.FactAlarms, len(look.Alarms) > 0, func() error { return a.observeAlarms(ctx, &s, look.Alarms) })
	_, tasksMissing := s.Lacks(observed.FactTasks)
	try(observed.FactLogs, exists && look.Logs != nil && !tasksMissing, func() error { return a.observeLogs(ctx, &s, look) })
	try(observed.FactAlike, exists && look.Alike != nil, func() (err error) { s.Alike, err = a.observeAlike(ctx, s, *look.Alike); return err })
	var ended *observed.EndedTask
	try(observed.FactMigration, look.Migration != "", func() (err error) { ended, err = a.observeMigration(ctx, &s, look); return err })
	try(observed.FactMigrationLog, ended != nil && (look.MigrationLog || ended.Task.Stopped()), func() (err error) {
		s.MigrationLog, err = a.migrationLog(ctx, *ended, look.MigrationLog)
		return err
	})
	return s, nil
}

// stackAge is how old a stack's status may be: what is rolling must not run into the infrastructure's own change.
func (a *Account) stackAge(look observed.Look) time.Duration {
	switch {
	case look.Fresh:
		return freshnessOf(look).within(a.opts.StackAge)
	case look.Rolling:
		return min(stackAgeBusy, a.opts.StackAge)
	}
	return a.opts.StackAge
}

func stackName(intent *rollout.Intent, look observed.Look) string {
	if look.Stack == "" && intent != nil {
		return intent.Service.Spec.Stack
	}
	return look.Stack
}
