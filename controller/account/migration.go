package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// migrationLines is how many of a migration's last lines an observation keeps.
const migrationLines = 50

// observeMigration answers the one-off task. A task that ECS does not show is the one that an event told the end of. Where none did it
// is nil and no error: seconds after RunTask it may not be visible yet, and one hour after its end it may not be any more.
func (a *Account) observeMigration(ctx context.Context, s *observed.Service, look observed.Look) (*observed.EndedTask, error) {
	cluster := name(s.Stack.Outputs[OutputCluster])
	out, err := a.tasker.ask(ctx, cluster, look.Migration)
	if err != nil {
		return nil, deed(err, "describe migration task %s", name(look.Migration))
	}
	found, mentioned := out[look.Migration]
	switch {
	case !mentioned || found.failure == notThere:
		ended, err := a.toldEnd(look.Migration)
		if err != nil || ended == nil {
			return nil, err
		}
		s.Migration = &ended.Task
		return ended, nil
	case found.failure != "":
		return nil, fmt.Errorf("describe migration task %s: ECS says %s", name(look.Migration), found.failure)
	}
	ended := observed.EndedTask{Task: taskOf(found.is)}
	if o := found.is.Overrides; o != nil {
		for _, o := range o.ContainerOverrides {
			if len(o.Command) > 0 {
				ended.Commands = append(ended.Commands, aws.ToString(o.Name))
			}
		}
	}
	s.Migration = &ended.Task
	return &ended, nil
}

// toldEnd asks who reads events how the task ended.
func (a *Account) toldEnd(task string) (*observed.EndedTask, error) {
	if a.opts.Told == nil {
		return nil, nil
	}
	ended, err := a.opts.Told.Ended(task)
	if err != nil {
		return nil, fmt.Errorf("describe migration task %s: %w", name(task), err)
	}
	return ended, nil
}

// migrationLogFor is how long a roll waits at most for the last lines of a migration that ended well: they decide nothing.
const migrationLogFor = 3 * time.Second

// migrationLog answers the last lines of the container whose command was overridden. Of a task that has stopped they come by themselves,
// once: whether they could be read or not, the looks of the next minute answer the same. Where they were asked for they are read anew.
func (a *Account) migrationLog(ctx context.Context, task observed.EndedTask, asked bool) ([]string, error) {
	if lines, ok := a.outputs.get(task.Task.ARN, time.Minute); ok && !asked {
		return lines, nil
	}
	if !asked {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, migrationLogFor)
		defer cancel()
	}
	lines, err := a.lastLinesOf(ctx, task)
	a.outputs.put(task.Task.ARN, lines)
	return lines, err
}

func (a *Account) lastLinesOf(ctx context.Context, task observed.EndedTask) ([]string, error) {
	r, err := a.revision(ctx, task.Task.TaskDefinition, forever)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, target := range r.logs {
		if len(task.Commands) > 0 && !slices.Contains(task.Commands, target.container) || target.region != "" && target.region != a.opts.Region {
			continue
		}
		part, err := a.lastLines(ctx, target, task.Task.ID(), migrationLines)
		if err != nil {
			return lines, err
		}
		lines = append(lines, part...)
	}
	return lines, nil
}

// runMigration starts the one-off task. The client token makes a repeat of the request the same task for 24 hours; where
// the service's network or the stack's role for migrations has changed in between, ECS refuses the repeat and names the task,
// which is adopted.
func (a *Account) runMigration(ctx context.Context, s stack, m rollout.RunMigration) (rollout.Outcome, error) {
	p, err := a.placement(ctx, s)
	if err != nil {
		return rollout.Outcome{}, err
	}
	in := &ecs.RunTaskInput{
		Cluster:        &s.cluster,
		TaskDefinition: &m.Revision,
		Count:          aws.Int32(1),
		ClientToken:    &m.Token,
		StartedBy:      aws.String(rollout.TaskMark(m.Token)),
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{
			{Name: &m.Container, Command: m.Command},
		}},
		NetworkConfiguration: p.network,
	}
	if role := s.Outputs[OutputMigrationRole]; role != "" {
		// What no serving task may have, such as a password that changes tables: in the definition it would be every task's.
		in.Overrides.TaskRoleArn = &role
	}
	if in.NetworkConfiguration == nil {
		in.NetworkConfiguration = networkFrom(s)
	}
	if len(p.providers) > 0 {
		in.CapacityProviderStrategy = p.providers
	} else {
		in.LaunchType = p.launchType
	}
	if p.platform != "" {
		in.PlatformVersion = &p.platform
	}
	out, err := a.aws.ECS.RunTask(ctx, in)
	var conflict *types.ConflictException
	if errors.As(err, &conflict) && len(conflict.ResourceIds) > 0 {
		return rollout.Outcome{Task: conflict.ResourceIds[0]}, nil
	}
	if err != nil {
		return rollout.Outcome{}, deed(err, "start migration %s of %s", strings.Join(m.Command, " "), name(m.Revision))
	}
	if len(out.Tasks) == 0 {
		return rollout.Outcome{}, notStarted(m, out.Failures)
	}
	return rollout.Outcome{Task: aws.ToString(out.Tasks[0].TaskArn)}, nil
}

// notStarted is the error of a RunTask that answered without a task. Lack of capacity passes; a constraint or an attribute
// that nothing meets does not.
func notStarted(m rollout.RunMigration, failures []types.Failure) error {
	if len(failures) == 0 {
		return fmt.Errorf("start migration of %s: ECS answered with neither a task nor a failure", name(m.Revision))
	}
	reason := aws.ToString(failures[0].Reason)
	err := fmt.Errorf("start migration of %s: ECS says %s %s", name(m.Revision), reason, aws.ToString(failures[0].Detail))
	switch reason {
	case "ATTRIBUTE", "LOCATION", "MISSING", "INACTIVE", "MemberOf placement constraint unsatisfied", "MemberOf placement constraint unsatisfied.":
		return fault.New(fault.Blocked, reason, err)
	}
	return fault.New(fault.Unavailable, reason, err)
}
