package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
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

// revision is what is kept of a task-definition revision. Its content never changes and the controller's tags are written
// with it; only its status may, so that is asked for again where it decides something.
type revision struct {
	observed.Revision
	images  []containerImage
	secrets []string // valueFrom of its containers
	logs    []logTarget
}

// containerImage is the image that a container of a revision names.
type containerImage struct{ container, image string }

// template is what is kept of a template.
type template struct {
	observed.Template
	definition packed
}

func (a *Account) describeTaskDefinition(ctx context.Context, id string) (*ecs.DescribeTaskDefinitionOutput, error) {
	out, err := a.aws.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: &id, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
	})
	if err != nil {
		return nil, deed(err, "describe task definition %s", id)
	}
	if out.TaskDefinition == nil {
		return nil, fmt.Errorf("describe task definition %s: the answer is empty", id)
	}
	return out, nil
}

// pinned is the name of one revision, by itself or in an ARN, whose content never changes: CloudFormation's Ref of a task
// definition is such a one. A family alone is its newest revision, which does.
var pinned = regexp.MustCompile(`:\d+$`)

// template answers the newest revision of the stack's template.
func (a *Account) template(ctx context.Context, s stack, fresh freshness) (*observed.Template, error) {
	id := s.Outputs[OutputTemplate]
	most := a.opts.TemplateAge
	if pinned.MatchString(id) {
		most = forever
	}
	if t, ok := a.templates.get(name(id), fresh.within(most)); ok {
		return &t.Template, nil
	}
	out, err := a.describeTaskDefinition(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, nil // for the rules to say so
	}
	if err != nil {
		return nil, err
	}
	if t, ok := a.templates.get(name(own(out.TaskDefinition.TaskDefinitionArn)), forever); ok { // the family's newest is the one that it was
		a.templates.put(name(id), t)
		return &t.Template, nil
	}
	content, err := Canonical(inputOf(out.TaskDefinition))
	if err != nil {
		return nil, err
	}
	definition, err := a.packer.pack(out.TaskDefinition)
	if err != nil {
		return nil, err
	}
	t := &template{observed.Template{ARN: own(out.TaskDefinition.TaskDefinitionArn), Content: string(content)}, definition}
	for _, c := range out.TaskDefinition.ContainerDefinitions {
		t.Containers = append(t.Containers, word(aws.ToString(c.Name)))
		if c.LogConfiguration == nil || c.LogConfiguration.LogDriver != types.LogDriverAwslogs {
			continue
		}
		if group := strings.Clone(c.LogConfiguration.Options["awslogs-group"]); !slices.Contains(t.LogGroups, group) {
			t.LogGroups = append(t.LogGroups, group)
		}
	}
	a.templates.put(name(id), t) // the same as the next one where the id names the revision
	a.templates.put(name(t.ARN), t)
	return &t.Template, nil
}

// definition answers the content of a template's revision, which never changes.
func (a *Account) definition(ctx context.Context, arn string) (*types.TaskDefinition, error) {
	if t, ok := a.templates.get(name(arn), forever); ok {
		return t.definition.definition()
	}
	out, err := a.describeTaskDefinition(ctx, arn)
	if fault.Is(err, fault.NotFound) {
		return nil, blocked(err)
	}
	if err != nil {
		return nil, err
	}
	return out.TaskDefinition, nil
}

// revision answers a revision that was looked at no longer than maxAge ago. One that does not exist any more is not Active.
func (a *Account) revision(ctx context.Context, arn string, maxAge time.Duration) (revision, error) {
	if r, ok := a.revisions.get(arn, maxAge); ok {
		return r, nil
	}
	out, err := a.describeTaskDefinition(ctx, arn)
	if fault.Is(err, fault.NotFound) {
		a.revisions.drop(arn)
		return revision{Revision: observed.Revision{ARN: arn}}, nil
	}
	if err != nil {
		return revision{}, err
	}
	r := revisionOf(out.TaskDefinition, tagMap(out.Tags))
	if arn == r.ARN {
		arn = r.ARN // the same memory
	}
	a.revisions.put(arn, r)
	return r, nil
}

func revisionOf(td *types.TaskDefinition, tags map[string]string) revision {
	r := revision{
		Revision: observed.Revision{
			ARN:         own(td.TaskDefinitionArn),
			Active:      td.Status == types.TaskDefinitionStatusActive,
			Ask:         tags[rollout.TagAsk],
			Fingerprint: tags[rollout.TagFingerprint],
			Commit:      word(tags[rollout.TagCommit]),
		},
		logs: logTargets(td),
	}
	for _, c := range td.ContainerDefinitions {
		r.HealthChecked = r.HealthChecked || c.HealthCheck != nil
		r.images = append(r.images, containerImage{word(aws.ToString(c.Name)), own(c.Image)})
		for _, s := range c.Secrets {
			r.secrets = append(r.secrets, own(s.ValueFrom))
		}
	}
	return r
}

// observeRevisions answers the revisions that the service and the look name.
func (a *Account) observeRevisions(ctx context.Context, s *observed.Service, look observed.Look) error {
	wanted := append([]string{s.TaskDefinition}, look.Revisions...)
	for _, d := range s.Deployments {
		wanted = append(wanted, d.TaskDefinition)
	}
	slices.Sort(wanted)
	s.Revisions = map[string]observed.Revision{}
	var failed []error
	for _, arn := range slices.Compact(wanted) {
		if arn == "" {
			continue
		}
		r, err := a.revision(ctx, arn, forever)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		s.Revisions[arn] = r.Revision
	}
	return errors.Join(failed...)
}

// observeStartable answers, for each revision asked about, whether it is ACTIVE and its images and secrets exist, as far as
// that can be known here (imageNow, secretExists). Roles are not looked at: that would take IAM permissions that nothing else here needs.
func (a *Account) observeStartable(ctx context.Context, s *observed.Service, look observed.Look) error {
	s.Startable = map[string]observed.Startable{}
	var failed []error
	for _, arn := range look.Startable {
		answer, err := a.startable(ctx, s.Stack, arn, freshnessOf(look))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		s.Startable[arn] = answer
		if r, ok := a.revisions.get(arn, forever); ok {
			s.Revisions[arn] = r.Revision
		} else {
			s.Revisions[arn] = observed.Revision{ARN: arn}
		}
	}
	return errors.Join(failed...)
}

func (a *Account) startable(ctx context.Context, s observed.Stack, arn string, fresh freshness) (observed.Startable, error) {
	r, err := a.revision(ctx, arn, fresh.within(a.opts.ImageAge))
	if err != nil {
		return observed.Startable{}, err
	}
	tagged := map[string]string{}
	for _, c := range r.images {
		digest, known, err := a.imageNow(ctx, c.image, s, fresh)
		if err != nil {
			return observed.Startable{}, err
		}
		if known && digest == "" {
			return observed.Startable{Reason: fmt.Sprintf("image %s is not in its repository any more", c.image), Lacks: observed.LackImage}, nil
		}
		if known && !strings.Contains(c.image, "@") {
			tagged[c.container] = digest
		}
	}
	for _, valueFrom := range r.secrets {
		exists, err := a.secretExists(ctx, valueFrom, fresh)
		if err != nil {
			return observed.Startable{}, err
		}
		if !exists {
			return observed.Startable{Reason: fmt.Sprintf("secret %s does not exist any more", withoutKey(valueFrom)), Lacks: observed.LackSecret}, nil
		}
	}
	if !r.Active {
		return observed.Startable{Reason: fmt.Sprintf("revision %s is not active any more", name(arn)), Lacks: observed.LackRevision, Tagged: tagged}, nil
	}
	return observed.Startable{OK: true, Tagged: tagged}, nil
}
