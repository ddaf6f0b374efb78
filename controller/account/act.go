package account

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Act does one thing: at most one writing request, sent once. seen is the observation that the action was decided on; it
// says where the service lives. A Lost error leaves open whether the request took effect.
func (a *Account) Act(ctx context.Context, intent *rollout.Intent, seen observed.Service, action rollout.Action) (rollout.Outcome, error) {
	s := placeOf(seen)
	if s.cluster == "" || s.service == "" {
		return rollout.Outcome{}, fmt.Errorf("%s: the observation does not say where the service lives", action.Name())
	}
	switch action := action.(type) {
	case rollout.Register:
		return a.register(ctx, s, action)
	case rollout.RunMigration:
		return a.runMigration(ctx, s, action)
	case rollout.StopTask:
		return rollout.Outcome{}, a.stopTask(ctx, s, action)
	case rollout.Roll:
		return a.roll(ctx, s, action)
	case rollout.Scale:
		return rollout.Outcome{}, a.scale(ctx, s, action)
	case rollout.Tag:
		return rollout.Outcome{}, a.tag(ctx, s, seen, action)
	case rollout.Keep:
		return rollout.Outcome{}, a.keep(ctx, s, action)
	}
	return rollout.Outcome{}, fmt.Errorf("%s of %s: the account does not know this action", action.Name(), intentName(intent))
}

// placeOf is where an observation says that the service lives.
func placeOf(seen observed.Service) stack {
	return stack{Stack: seen.Stack, cluster: name(seen.Stack.Outputs[OutputCluster]), service: name(seen.Stack.Outputs[OutputService])}
}

func intentName(intent *rollout.Intent) string {
	if intent == nil {
		return "a service without intent"
	}
	return intent.Service.Metadata.Name
}

// register registers a revision in the service's own family. RegisterTaskDefinition has no client token, so where an
// earlier request may have taken effect its fingerprint is looked for first; not finding it costs one superfluous revision
// at most.
func (a *Account) register(ctx context.Context, s stack, r rollout.Register) (rollout.Outcome, error) {
	if r.Look {
		arn, err := a.registered(ctx, s.service, r)
		if err != nil || arn != "" {
			return rollout.Outcome{Revision: arn}, err
		}
	}
	in, err := a.request(ctx, s, r)
	if err != nil {
		return rollout.Outcome{}, err
	}
	out, err := a.aws.ECS.RegisterTaskDefinition(ctx, in)
	if err != nil {
		return rollout.Outcome{}, deed(err, "register a revision of %s", s.service)
	}
	made := revisionOf(out.TaskDefinition, tagMap(in.Tags))
	a.revisions.put(made.ARN, made)
	return rollout.Outcome{Revision: made.ARN}, nil
}

// request is what a registration sends. Nothing is written to make it.
func (a *Account) request(ctx context.Context, s stack, r rollout.Register) (*ecs.RegisterTaskDefinitionInput, error) {
	from, err := a.definition(ctx, r.Template)
	if err != nil {
		return nil, err
	}
	secrets, err := a.resolveSecrets(ctx, r.Containers)
	if err != nil {
		return nil, fmt.Errorf("register a revision of %s: %w", s.service, err)
	}
	in, err := Render(from, s.service, r.Containers, secrets)
	if err != nil {
		return nil, fmt.Errorf("register a revision of %s: %w", s.service, err)
	}
	in.Tags = tagsOf(map[string]string{
		rollout.TagAsk: r.Ask, rollout.TagFingerprint: r.Fingerprint, rollout.TagCommit: r.Commit,
	})
	return in, nil
}

// registeredMax is how many of the family's newest revisions are searched for a fingerprint.
const registeredMax = 10

func (a *Account) registered(ctx context.Context, family string, wanted rollout.Register) (string, error) {
	out, err := a.aws.ECS.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{
		FamilyPrefix: &family, Sort: types.SortOrderDesc, Status: types.TaskDefinitionStatusActive, MaxResults: aws.Int32(registeredMax),
	})
	if err != nil {
		return "", deed(err, "list the revisions of %s", family)
	}
	for _, arn := range out.TaskDefinitionArns {
		if arn == wanted.Except {
			continue
		}
		r, err := a.revision(ctx, arn, forever)
		if err != nil {
			return "", err
		}
		if r.Fingerprint == wanted.Fingerprint && r.Active {
			return arn, nil
		}
	}
	return "", nil
}

// stopTask stops a task; one that ECS does not know any more has stopped.
func (a *Account) stopTask(ctx context.Context, s stack, t rollout.StopTask) error {
	_, err := a.aws.ECS.StopTask(ctx, &ecs.StopTaskInput{Cluster: &s.cluster, Task: &t.Task, Reason: aws.String(reason(t.Reason))})
	if err = deed(err, "stop task %s", name(t.Task)); fault.Is(err, fault.NotFound) && fault.CodeOf(err) != "ClusterNotFoundException" {
		return nil
	}
	return err
}

// reason is at most the 255 characters that StopTask shows.
func reason(s string) string {
	runes := []rune(s)
	return string(runes[:min(len(runes), 255)])
}

// roll asks for a rolling deployment. The breaker stops a bad rollout early but never rolls back, and there are no native
// alarms: there is one who decides. A deployment is never forced, so that a repeat is the same request.
func (a *Account) roll(ctx context.Context, s stack, r rollout.Roll) (rollout.Outcome, error) {
	in := &ecs.UpdateServiceInput{
		Cluster: &s.cluster, Service: &s.service, TaskDefinition: &r.Revision,
		DeploymentConfiguration: &types.DeploymentConfiguration{
			MinimumHealthyPercent:    aws.Int32(int32(r.MinimumHealthyPercent)),
			MaximumPercent:           aws.Int32(int32(r.MaximumPercent)),
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: false},
			Alarms:                   &types.DeploymentAlarms{AlarmNames: []string{}, Enable: false, Rollback: false},
		},
	}
	if r.Count != nil {
		in.DesiredCount = aws.Int32(int32(*r.Count))
	}
	a.looks.drop(s.key())
	out, err := a.aws.ECS.UpdateService(ctx, in)
	if err != nil {
		return rollout.Outcome{}, deed(err, "roll %s to %s", s.service, name(r.Revision))
	}
	a.relist(aws.ToString(out.Service.ServiceArn))
	for _, d := range out.Service.Deployments {
		if aws.ToString(d.Status) == "PRIMARY" {
			return rollout.Outcome{Deployment: aws.ToString(d.Id)}, nil
		}
	}
	return rollout.Outcome{}, fault.New(fault.Lost, "no_primary", fmt.Errorf("roll %s to %s: ECS's answer has no PRIMARY deployment", s.service, name(r.Revision)))
}

func (a *Account) scale(ctx context.Context, s stack, c rollout.Scale) error {
	a.looks.drop(s.key())
	_, err := a.aws.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &s.cluster, Service: &s.service, DesiredCount: aws.Int32(int32(c.Count))})
	return deed(err, "set the count of %s to %d", s.service, c.Count)
}

func (a *Account) tag(ctx context.Context, s stack, seen observed.Service, t rollout.Tag) error {
	a.looks.drop(s.key())
	_, err := a.aws.ECS.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: aws.String(seen.ARN), Tags: tagsOf(t.Set)})
	return deed(err, "tag service %s", seen.Name)
}

func (a *Account) keep(ctx context.Context, s stack, k rollout.Keep) error {
	parameter := s.Outputs[OutputParameter]
	if parameter == "" {
		return fault.New(fault.Blocked, "outputs_missing", fmt.Errorf(
			"keep %s for stack %s: the stack has no output %s", name(k.Revision), s.Name, OutputParameter))
	}
	_, err := a.aws.SSM.PutParameter(ctx, &ssm.PutParameterInput{
		Name: &parameter, Value: &k.Revision, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
	})
	if err != nil { // what it is now, nobody knows
		a.parameters.drop(parameter)
		return deed(err, "keep %s in parameter %s", name(k.Revision), parameter)
	}
	a.parameters.put(parameter, k.Revision)
	return nil
}
