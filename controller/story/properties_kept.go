package story

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/canteen/deploy/controller/rollout"
)

// tagged holds properties 5 and 8.
func (o *Observer) tagged(in *awsecs.TagResourceInput, was *types.Service) {
	service := last(aws.ToString(in.ResourceArn))
	s := o.of(service)
	news := false
	o.taken(s, service, in.Tags, was)
	for _, t := range in.Tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		o.world.journal.add("effect", "TagResource %s %s %s", service, key, last(value))
		if key == rollout.TagCount {
			continue // goes along with the others
		}
		news = news || !slices.ContainsFunc(was.Tags, func(old types.Tag) bool { return aws.ToString(old.Key) == key && aws.ToString(old.Value) == value })
		switch key {
		case rollout.TagGood:
			o.calledGood(s, service, value)
		case rollout.TagRejected:
			if words := o.asks(service); value != "" && len(words) > 0 {
				word := words[len(words)-1]
				retry, tried := s.tries[value]
				if _, before := s.rejected[value]; before && !tried {
					break // an older verdict, written down again because the service was made anew
				}
				if !tried {
					retry = word.Spec.Retry
				}
				s.rejected[value] = rejectedAt{retry, checksOf(word)}
				delete(s.tries, value)
			}
		}
	}
	if !news {
		o.violation(8, "%s was given the tags that it had", service)
	}
}

// taken learns of a revision that somebody else has registered and the controller has taken over. It must be what runs, and what git
// asks; whether it ran for its bake is seen like that of any other.
func (o *Observer) taken(s *serviceSeen, service string, tags []types.Tag, was *types.Service) {
	set := map[string]string{}
	for _, t := range tags {
		set[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	arn, ask := set[rollout.TagGood], strings.Fields(set[rollout.TagTaken])
	if len(ask) != 2 || arn == "" || o.revisions[arn] != nil {
		return
	}
	out, err := o.world.account.ECS.DescribeTaskDefinition(context.Background(), &awsecs.DescribeTaskDefinitionInput{TaskDefinition: &arn})
	if err != nil || arn != aws.ToString(was.TaskDefinition) {
		o.violation(5, "%s was taken over, and does not run", last(arn))
		return
	}
	r := &revision{arn: arn, ask: ask[0], at: time.Now(), definition: out.TaskDefinition}
	if o.wordFor(service, r) == nil {
		o.violation(1, "%s was taken over, which git does not ask for", last(arn))
		return
	}
	o.revisions[arn] = r
	for _, d := range was.Deployments {
		s.deployed[aws.ToString(d.Id)] = arn
	}
}

// shortestBake is that of the words that the controller may still go by; 0 where none of them asks for the revision.
func (o *Observer) shortestBake(service string, r *revision) time.Duration {
	var bakes []time.Duration
	for _, word := range o.asks(service) {
		if o.says(word, r) {
			bakes = append(bakes, word.Spec.Verify.Bake.Std())
		}
	}
	if len(bakes) == 0 {
		return 0
	}
	return slices.Min(bakes)
}

// calledGood holds property 5: the revision's deployment completed, ran for its bake, and did not crash meanwhile.
func (o *Observer) calledGood(s *serviceSeen, service, arn string) {
	if !s.good[arn].IsZero() {
		return
	}
	r := o.revisions[arn]
	if r == nil {
		o.violation(5, "%s was called good, which the controller never registered", last(arn))
		return
	}
	again := o.wasGood(s, r.ask) // what was good, registered anew because its revision was deregistered
	s.good[arn] = time.Now()
	delete(s.rejected, r.ask)
	if again {
		return
	}
	delete(s.tries, r.ask)
	bake := o.shortestBake(service, r)
	for deployment, revision := range s.deployed {
		at, done := o.completed[deployment]
		if revision != arn || !done {
			continue
		}
		if time.Since(at) >= bake {
			return
		}
	}
	o.violation(5, "%s was called good before a deployment of it was complete for its whole bake", last(arn))
}

// kept holds properties 5 and 8 for the parameter that the stack reads.
func (o *Observer) kept(in *ssm.PutParameterInput) {
	value := aws.ToString(in.Value)
	o.world.journal.add("effect", "PutParameter %s %s", aws.ToString(in.Name), last(value))
	service, _, _ := strings.Cut(strings.TrimPrefix(aws.ToString(in.Name), "/"), "/")
	if o.of(service).good[value].IsZero() {
		o.violation(5, "the parameter of %s names %s, which was not called good", service, last(value))
	}
}

// origins holds property 16 for what was saved.
func (o *Observer) origins(history []rollout.Entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range history {
		if len(e.Built) > 0 && len(e.Built) != len(e.Images) {
			o.violation(16, "rollout %d of %s has %d images and %d commits", e.Number, e.Service, len(e.Images), len(e.Built))
			continue
		}
		for i, commit := range e.Built {
			_, tag, _ := strings.Cut(e.Images[i], ":")
			if want := builtOf(e.Service, tag); commit != "" && commit != want {
				o.violation(16, "%s of %s is said to be built of %s, and its label says %s", e.Images[i], e.Service, commit, want)
			}
		}
	}
}
