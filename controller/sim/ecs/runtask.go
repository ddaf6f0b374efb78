package ecs

import (
	"context"
	"maps"
	"reflect"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// RunTask.count and RunTask.overrides in the ECS API reference.
const (
	runTaskMax   = 10
	overridesMax = 8192
)

// tokenKey: a client token is valid in one cluster.
type tokenKey struct{ cluster, token string }

// tokenUse is what a client token was used for.
type tokenUse struct {
	asked awsecs.RunTaskInput
	tasks []*task
	at    time.Time
}

var (
	tokenRE     = regexp.MustCompile(`^[\x21-\x7e]{1,64}$`)
	startedByRE = regexp.MustCompile(`^[A-Za-z0-9_/-]{1,128}$`)
)

// expired: the token no longer protects (developer guide, ECS_Idempotency): 24 h,
// or one hour after the last of its tasks stopped.
func (e *Engine) expired(u *tokenUse) bool {
	if e.now.Sub(u.at) >= e.cfg.Timing.TokenWindow {
		return true
	}
	var last time.Time
	for _, t := range u.tasks {
		if t.status != stopped {
			return false
		}
		if t.stoppedAt.After(last) {
			last = t.stoppedAt
		}
	}
	return e.now.Sub(last) >= e.cfg.Timing.TokenAfterStop
}

// RunTask starts up to 10 tasks. With a client token that is still valid it
// starts nothing: the same members get the same tasks (of stopped ones only ARN
// and statuses), other members a ConflictException with their ARNs.
func (e *Engine) RunTask(_ context.Context, in *awsecs.RunTaskInput) (*awsecs.RunTaskOutput, error) {
	if err := validateRunTask(in); err != nil {
		return nil, err
	}
	zones, err := e.knownNetwork(in.NetworkConfiguration)
	if err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	maps.Copy(e.zones, zones)
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	key := tokenKey{c.name, aws.ToString(in.ClientToken)}
	asked := clone(*in)
	asked.Cluster, asked.ClientToken = nil, nil
	if use := e.tokens[key]; use != nil && key.token != "" {
		if !e.expired(use) {
			return replay(use, asked)
		}
		delete(e.tokens, key)
	}
	td, plan, own, err := e.planRun(c, in)
	if err != nil {
		return nil, err
	}
	out := &awsecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	if o := e.noInstance(nil); o != nil {
		out.Failures = append(out.Failures, types.Failure{Reason: aws.String(o.Missing)})
		return out, nil
	}
	if e.placement != "" {
		out.Failures = append(out.Failures, types.Failure{Reason: aws.String("RESOURCE:FARGATE"), Detail: aws.String(e.placement)})
		return out, nil
	}
	if c.provisioning >= e.cfg.Quotas.Provisioning {
		return nil, client("You've reached the limit on the number of tasks that can be in the PROVISIONING state in a cluster.")
	}
	providers := pickProviders(plan.strategy, max(1, int(aws.ToInt32(in.Count))))
	if !e.mayRun(providers) {
		return nil, &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}
	}
	use := &tokenUse{asked: asked, at: e.now}
	for _, plan.capacityProvider = range providers {
		t := e.newTask(c, td, "run "+c.name+"/"+td.family, plan, maps.Clone(own))
		t.visibleAt = e.now.Add(upTo(e.cfg.Doubts.TaskRecordLagMax, e.random("visible "+c.name)))
		e.told(t)
		use.tasks = append(use.tasks, t)
		out.Tasks = append(out.Tasks, t.view(true))
	}
	if key.token != "" {
		e.tokens[key] = use
		e.after(e.cfg.Timing.TokenWindow, func() {
			if e.tokens[key] == use {
				delete(e.tokens, key)
			}
		})
	}
	return out, nil
}

func replay(use *tokenUse, asked awsecs.RunTaskInput) (*awsecs.RunTaskOutput, error) {
	if !reflect.DeepEqual(use.asked, asked) {
		conflict := &types.ConflictException{Message: aws.String("The RunTask request could not be processed because the client token was already used with other parameters.")}
		for _, t := range use.tasks {
			conflict.ResourceIds = append(conflict.ResourceIds, t.arn)
		}
		return nil, conflict
	}
	out := &awsecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, t := range use.tasks {
		v := t.view(true)
		if t.status == stopped {
			v = types.Task{TaskArn: v.TaskArn, LastStatus: v.LastStatus, DesiredStatus: v.DesiredStatus}
		}
		out.Tasks = append(out.Tasks, v)
	}
	return out, nil
}

func validateRunTask(in *awsecs.RunTaskInput) error {
	if err := only(in, "", "TaskDefinition", "CapacityProviderStrategy", "ClientToken", "Cluster", "Count", "EnableECSManagedTags",
		"EnableExecuteCommand", "Group", "LaunchType", "NetworkConfiguration", "Overrides", "PlatformVersion", "PropagateTags",
		"StartedBy", "Tags"); err != nil {
		return err
	}
	switch {
	case aws.ToString(in.TaskDefinition) == "":
		return client("TaskDefinition can not be blank.")
	case in.Count != nil && (*in.Count < 1 || *in.Count > runTaskMax):
		return invalid("count must be between 1 and %d.", runTaskMax)
	case in.ClientToken != nil && !tokenRE.MatchString(*in.ClientToken):
		return invalid("clientToken must have 1 to 64 characters of ASCII 33-126.")
	case in.StartedBy != nil && !startedByRE.MatchString(*in.StartedBy):
		return invalid("startedBy must match %s", startedByRE)
	case in.PropagateTags != "" && in.PropagateTags != types.PropagateTagsTaskDefinition:
		return invalid("propagateTags must be TASK_DEFINITION for RunTask.")
	case in.Overrides == nil:
		return nil
	case jsonSize(*in.Overrides) > overridesMax:
		return invalid("overrides must have at most %d characters.", overridesMax)
	}
	if err := only(in.Overrides, "overrides.", "ContainerOverrides", "ExecutionRoleArn", "TaskRoleArn"); err != nil {
		return err
	}
	for _, o := range in.Overrides.ContainerOverrides {
		if err := only(o, "overrides.containerOverrides.", "Name", "Command", "Environment"); err != nil {
			return err
		}
	}
	return nil
}

// planRun checks everything that needs the account's state.
func (e *Engine) planRun(c *cluster, in *awsecs.RunTaskInput) (*taskDefinition, taskPlan, tags, error) {
	td, err := e.usableTaskDefinition(*in.TaskDefinition, invalid)
	if err != nil {
		return nil, taskPlan{}, nil, err
	}
	plan := taskPlan{subnet: -1, startedBy: aws.ToString(in.StartedBy), group: aws.ToString(in.Group), executeCommand: in.EnableExecuteCommand}
	if plan.group == "" {
		plan.group = "family:" + td.family
	}
	_, strategy, err := c.launchOn(in.LaunchType, in.CapacityProviderStrategy)
	if err != nil {
		return nil, plan, nil, err
	}
	plan.strategy = strategy
	net, err := network(in.NetworkConfiguration)
	if err != nil {
		return nil, plan, nil, err
	}
	plan.network = &net
	if plan.platformVersion, err = platform(in.PlatformVersion); err != nil {
		return nil, plan, nil, err
	}
	if err := runnable(td); err != nil {
		return nil, plan, nil, err
	}
	if in.Overrides != nil {
		plan.overrides = clone(*in.Overrides)
		for _, o := range plan.overrides.ContainerOverrides {
			if td.container(aws.ToString(o.Name)) == nil {
				return nil, plan, nil, invalid("Override for container named %s is not a container in the TaskDefinition.", aws.ToString(o.Name))
			}
		}
	}
	own := tags{}
	if in.PropagateTags == types.PropagateTagsTaskDefinition {
		maps.Copy(own, td.tags)
	}
	if err := own.put(in.Tags); err != nil {
		return nil, plan, nil, err
	}
	if in.EnableECSManagedTags {
		own["aws:ecs:clusterName"] = c.name
	}
	return td, plan, own, nil
}
