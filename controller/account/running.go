package account

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/adopt"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Running answers all that there is to say about a service that no file asks for yet. stackName is the stack that is about it; where
// it is empty, the stack whose outputs name the service is looked for among all of the account's, and there may be none. It only reads.
func (a *Account) Running(ctx context.Context, cluster, service, stackName string) (adopt.Running, error) {
	cluster, service = name(cluster), name(service)
	r := adopt.Running{Account: a.opts.Account, Region: a.opts.Region, Cluster: cluster, Service: service}
	s, err := a.describeOne(ctx, cluster, service)
	if err != nil {
		return r, err
	}
	ofService(&r, s)
	if r.Refusal() != "" {
		return r, nil
	}
	out, err := a.describeTaskDefinition(ctx, aws.ToString(s.TaskDefinition))
	if err != nil {
		return r, err
	}
	content, err := json.Marshal(inputOf(out.TaskDefinition))
	if err != nil {
		return r, fmt.Errorf("write task definition %s as JSON: %w", r.Revision, err)
	}
	r.Content, r.Containers = string(content), containersOf(out.TaskDefinition)
	if err := a.imagesOf(ctx, &r, aws.ToString(s.TaskDefinition)); err != nil {
		return r, err
	}
	where, err := a.stackAbout(ctx, cluster, service, stackName)
	if err != nil || where.Name == "" {
		return r, err
	}
	r.Stack, r.Outputs = where.Name, where.Outputs
	template, err := a.describeTaskDefinition(ctx, where.Outputs[OutputTemplate])
	if fault.Is(err, fault.NotFound) {
		return r, fault.New(fault.Blocked, "template_missing", fmt.Errorf("the template %s, output %s of the stack %s, does not exist", where.Outputs[OutputTemplate], OutputTemplate, where.Name))
	}
	if err != nil {
		return r, err
	}
	r.Template, r.Family = containersOf(template.TaskDefinition), aws.ToString(template.TaskDefinition.Family)
	return r, nil
}

// describeOne answers one service by its name, from ECS itself.
func (a *Account) describeOne(ctx context.Context, cluster, service string) (types.Service, error) {
	found, err := a.describer.ask(ctx, cluster, service)
	if err = deed(err, "describe service %s in cluster %s", service, cluster); fault.CodeOf(err) == "ClusterNotFoundException" {
		return types.Service{}, fault.New(fault.NotFound, "cluster_missing", fmt.Errorf("account %s has no cluster %s in %s", a.opts.Account, cluster, a.opts.Region))
	}
	if err != nil {
		return types.Service{}, err
	}
	switch one, mentioned := found[service]; {
	case mentioned && one.failure == "":
		return one.is, nil
	case mentioned && one.failure != notThere:
		return types.Service{}, fmt.Errorf("describe service %s in cluster %s: ECS says %s %s", service, cluster, one.failure, one.detail)
	}
	return types.Service{}, fault.New(fault.NotFound, "service_missing", fmt.Errorf("cluster %s of account %s has no service %s in %s", cluster, a.opts.Account, service, a.opts.Region))
}

func ofService(r *adopt.Running, s types.Service) {
	r.Status = aws.ToString(s.Status)
	r.Active = r.Status == string(observed.StatusActive)
	r.Scheduling = string(s.SchedulingStrategy)
	if s.DeploymentController != nil {
		r.Controller = string(s.DeploymentController.Type)
	}
	r.Desired, r.Running, r.Balanced = int(s.DesiredCount), int(s.RunningCount), len(s.LoadBalancers) > 0
	r.Minimum, r.Maximum = 100, 200 // ECS's own, where it says none
	if d := s.DeploymentConfiguration; d != nil {
		r.Strategy = string(d.Strategy)
		if d.MinimumHealthyPercent != nil {
			r.Minimum = int(*d.MinimumHealthyPercent)
		}
		if d.MaximumPercent != nil {
			r.Maximum = int(*d.MaximumPercent)
		}
		if b := d.DeploymentCircuitBreaker; b != nil {
			r.RollsBack = b.Enable && b.Rollback
		}
		if alarms := d.Alarms; alarms != nil && alarms.Enable {
			r.Alarms, r.RollsBack = alarms.AlarmNames, r.RollsBack || alarms.Rollback
		}
	}
	for _, d := range s.Deployments {
		r.Rolling = r.Rolling || d.RolloutState == types.DeploymentRolloutStateInProgress || aws.ToString(d.Status) == "ACTIVE"
	}
	if n := s.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
		r.Subnets, r.SecurityGroups = n.AwsvpcConfiguration.Subnets, n.AwsvpcConfiguration.SecurityGroups
	}
	r.Revision, r.Good = name(aws.ToString(s.TaskDefinition)), name(tagMap(s.Tags)[rollout.TagGood])
}

func containersOf(td *types.TaskDefinition) []adopt.Container {
	var out []adopt.Container
	for _, c := range td.ContainerDefinitions {
		one := adopt.Container{Name: aws.ToString(c.Name), Image: aws.ToString(c.Image), Env: map[string]string{}, Secrets: map[string]string{}}
		for _, kv := range c.Environment {
			one.Env[aws.ToString(kv.Name)] = aws.ToString(kv.Value)
		}
		for _, s := range c.Secrets {
			one.Secrets[aws.ToString(s.Name)] = aws.ToString(s.ValueFrom)
		}
		out = append(out, one)
	}
	return out
}

// imagesOf fills in which digests the running tasks of the revision have, and which tags the registry has for them.
func (a *Account) imagesOf(ctx context.Context, r *adopt.Running, revision string) error {
	arns, err := a.listTasks(ctx, r.Cluster, r.Service, types.DesiredStatusRunning, runningPagesMax)
	if err != nil {
		return err
	}
	tasks, err := a.describeTasks(ctx, r.Cluster, arns, nil)
	if err != nil {
		return err
	}
	for i := range r.Containers {
		c := &r.Containers[i]
		for _, t := range tasks {
			is, ok := t.Container(c.Name)
			if t.TaskDefinition == revision && !t.Stopped() && ok && is.Digest != "" && !slices.Contains(c.Digests, is.Digest) {
				c.Digests = append(c.Digests, is.Digest)
			}
		}
		slices.Sort(c.Digests)
		if len(c.Digests) != 1 {
			continue
		}
		if c.Tags, err = a.tagsOfImage(ctx, c.Image, c.Digests[0]); err != nil {
			return err
		}
	}
	return nil
}

// tagsOfImage are the tags that the registry has for a digest; none where it is not a registry of this region's, is another account's
// that lets nobody look, or has no such image.
func (a *Account) tagsOfImage(ctx context.Context, image, digest string) ([]string, error) {
	repo, ok := parseImage(image)
	if !ok || repo.region != a.opts.Region {
		return nil, nil
	}
	out, err := a.aws.ECR.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RegistryId: &repo.account, RepositoryName: &repo.repository, ImageIds: []ecrtypes.ImageIdentifier{{ImageDigest: &digest}},
	})
	err = deed(err, "look for image %s in repository %s", digest, repo.repository)
	if fault.Is(err, fault.NotFound) || repo.account != a.opts.Account && client.IsDenied(fault.CodeOf(err)) {
		return nil, nil
	}
	if err != nil || len(out.ImageDetails) == 0 {
		return nil, err
	}
	return out.ImageDetails[0].ImageTags, nil
}

// stackAbout is the named stack, or the one of all whose outputs name the service; none has no name. One that is named must
// have all outputs and be about the service.
func (a *Account) stackAbout(ctx context.Context, cluster, service, stackName string) (stack, error) {
	if stackName != "" {
		s, err := a.stack(ctx, stackName, 0)
		if err == nil && (s.cluster != cluster || s.service != service) {
			err = fault.New(fault.Blocked, "another_service", fmt.Errorf("the stack %s is about the service %s in cluster %s, not %s in %s: name another", stackName, s.service, s.cluster, service, cluster))
		}
		return s, err
	}
	var about []stack
	in := &cloudformation.DescribeStacksInput{}
	for range stackPagesMax {
		out, err := a.aws.CloudFormation.DescribeStacks(ctx, in)
		if err != nil {
			return stack{}, deed(err, "look for the stack of %s among all stacks", service)
		}
		for _, from := range out.Stacks {
			if s := stackOf(aws.ToString(from.StackName), from); s.cluster == cluster && s.service == service && s.complete() == nil {
				about = append(about, s)
			}
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	switch len(about) {
	case 0:
		return stack{}, nil
	case 1:
		return about[0], nil
	}
	var names []string
	for _, s := range about {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return stack{}, fault.New(fault.Blocked, "many_stacks", fmt.Errorf("the stacks %s are all about the service %s: name one by --stack", strings.Join(names, ", "), service))
}
