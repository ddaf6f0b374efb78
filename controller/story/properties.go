package story

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// recent is how long an ask that git has overtaken may still be written toward: git is asked every poll, and a request
// whose answer was lost is repeated after half a minute.
const recent = poll + 35*time.Second

// asks are the words of git about a service of the last while, oldest first.
func (o *Observer) asks(service string) []*desired.Service {
	return o.world.repo.asks(service, time.Now().Add(-recent))
}

// says reports whether the revision is what the word asks: its images by digest, its environment and its secrets.
func (o *Observer) says(word *desired.Service, r *revision) bool {
	service := word.Metadata.Name
	for name, want := range word.Spec.Containers {
		i := slices.IndexFunc(r.definition.ContainerDefinitions, func(c types.ContainerDefinition) bool { return aws.ToString(c.Name) == name })
		if i < 0 {
			return false
		}
		c := r.definition.ContainerDefinitions[i]
		digest := want.Image.Digest
		if digest == "" {
			digest = o.world.image(service, want.Image.Tag).digest
		}
		if digest == "" || !strings.HasSuffix(aws.ToString(c.Image), "@"+digest) || len(c.Secrets) != len(want.Secrets) {
			return false
		}
		for key, value := range want.Env {
			if !slices.ContainsFunc(c.Environment, func(e types.KeyValuePair) bool { return aws.ToString(e.Name) == key && aws.ToString(e.Value) == value }) {
				return false
			}
		}
	}
	return true
}

// wordFor answers the newest of the words that the revision is what they ask.
func (o *Observer) wordFor(service string, r *revision) *desired.Service {
	return o.wordSince(service, r, time.Now())
}

// wordSince answers the newest of the words that were git's a while before that time or later.
func (o *Observer) wordSince(service string, r *revision, since time.Time) *desired.Service {
	for _, word := range slices.Backward(o.world.repo.asks(service, since.Add(-recent))) {
		if o.says(word, r) {
			return word
		}
	}
	return nil
}

// idle: what git asks runs, is good, and nothing has changed in the last while.
func (o *Observer) idle(service string, was *types.Service) bool {
	if was == nil || len(was.Deployments) != 1 || was.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted {
		return false
	}
	running := aws.ToString(was.TaskDefinition)
	r := o.revisions[running]
	if o.world.ledgers > 0 && !o.world.active(running) {
		return false // its content was in the ledger that was lost, and it can be started no more: it is registered anew
	}
	if r == nil || o.of(service).good[running].IsZero() || o.templates[service].After(r.at) {
		return false
	}
	for _, word := range o.asks(service) {
		if !o.says(word, r) || word.Spec.OnSecretChange == desired.SecretRestart && !r.restarts {
			return false
		}
	}
	return true
}

// Property 8: nothing is written while there is nothing to do.
func (o *Observer) mustBeNeeded(service, operation string, was *types.Service) {
	if o.idle(service, was) {
		o.violation(8, "%s although %s runs what git asks, and it is good", operation, service)
	}
}

func (o *Observer) registered(in *awsecs.RegisterTaskDefinitionInput, was *types.Service, out *awsecs.RegisterTaskDefinitionOutput) {
	service := aws.ToString(in.Family)
	r := &revision{arn: aws.ToString(out.TaskDefinition.TaskDefinitionArn), at: time.Now(), definition: out.TaskDefinition}
	for _, t := range in.Tags {
		switch aws.ToString(t.Key) {
		case rollout.TagAsk:
			r.ask = aws.ToString(t.Value)
		case rollout.TagCommit:
			r.commit = aws.ToString(t.Value)
		}
	}
	o.mustBeNeeded(service, "RegisterTaskDefinition", was)
	said := slices.DeleteFunc(o.asks(service), func(word *desired.Service) bool { return !o.says(word, r) })
	r.restarts = len(said) > 0 && !slices.ContainsFunc(said, func(word *desired.Service) bool { return word.Spec.OnSecretChange != desired.SecretRestart })
	o.revisions[r.arn] = r
	o.tries(service, r)
	o.world.journal.add("effect", "RegisterTaskDefinition %s of commit %.7s", last(r.arn), r.commit)
	if r.ask == "" || r.commit == "" {
		o.violation(1, "revision %s carries neither ask nor commit", last(r.arn))
	}
}

// tries notes that an ask begins to be rolled out, by what git said then: a retry that is raised later is one more.
func (o *Observer) tries(service string, r *revision) {
	s := o.of(service)
	if _, begun := s.tries[r.ask]; begun {
		return
	}
	for _, word := range o.asks(service) {
		if o.says(word, r) {
			s.tries[r.ask] = word.Spec.Retry
			return
		}
	}
}

// updated holds properties 1, 2, 4, 6, 7 and 8.
func (o *Observer) updated(in *awsecs.UpdateServiceInput, was *types.Service, out *awsecs.UpdateServiceOutput) {
	service := aws.ToString(in.Service)
	s := o.of(service)
	if s.first == nil {
		s.first = aws.Int32(was.DesiredCount)
	}
	count := was.DesiredCount
	if in.DesiredCount != nil {
		count = *in.DesiredCount
	}
	o.world.journal.add("effect", "UpdateService %s to %s, count %d", service, last(aws.ToString(in.TaskDefinition)), count)
	if count < was.DesiredCount && !(len(s.good) == 0 && count == *s.first) {
		o.violation(7, "the count of %s was lowered from %d to %d", service, was.DesiredCount, count)
	}
	if in.ForceNewDeployment {
		o.violation(1, "a deployment of %s was forced", service)
	}
	if in.TaskDefinition == nil {
		return
	}
	o.mustBeNeeded(service, "UpdateService", was)
	to := aws.ToString(in.TaskDefinition)
	o.rolled(s, service, to)
	if b := in.DeploymentConfiguration.DeploymentCircuitBreaker; b == nil || !b.Enable || b.Rollback {
		o.violation(1, "the breaker of %s may roll back by itself: there would be two who decide", service)
	}
	s.rolled[to] = time.Now()
	if r := o.revisions[to]; r != nil {
		o.tries(service, r)
	}
	for _, d := range out.Service.Deployments {
		if aws.ToString(d.Status) == "PRIMARY" {
			s.deployed[aws.ToString(d.Id)] = to
		}
	}
	o.keepsServing(in, service)
}

func (o *Observer) rolled(s *serviceSeen, service, to string) {
	r := o.revisions[to]
	if r == nil {
		o.violation(1, "%s was rolled to %s, which the controller never registered", service, last(to))
		return
	}
	o.returns(s, service, r)
	if s.good[to].IsZero() && o.again(s, r) {
		s.good[to] = time.Now()
	}
	if !s.good[to].IsZero() {
		s.back = time.Now()
		return // properties 1 and 6 allow it, and no migration is due
	}
	word := o.wordFor(service, r)
	o.leaves(s, r, word)
	if word == nil {
		if !o.goodBefore(s, r) {
			o.violation(1, "%s was rolled to %s, which is neither what git asks nor was it ever good", service, last(to))
		}
		return
	}
	if m := word.Spec.Migration; m != nil && !o.migrated(o.keyOf(r, m)) && !o.wasGood(s, r.ask) {
		o.violation(2, "%s was rolled to %s before its migration ended with 0", service, last(to))
	}
	if at, ok := s.rejected[r.ask]; ok && word.Spec.Retry <= at.retry && checksOf(word) == at.checks {
		o.violation(4, "%s was rolled to %s again, whose ask was rejected", service, last(to))
	}
}

// madeAnew matches a secret's ARN up to the six characters that are others in one of the same name that is made anew.
var madeAnew = regexp.MustCompile(`(:secret:[^:]+)-\w{6}\b`)

// goodBefore reports whether the revision is a good one's version on another template, or with a secret that was made anew.
func (o *Observer) goodBefore(s *serviceSeen, r *revision) bool {
	version := func(r *revision) string {
		var out []string
		for _, c := range r.definition.ContainerDefinitions {
			out = append(out, aws.ToString(c.Name), aws.ToString(c.Image))
			for _, e := range c.Environment {
				out = append(out, aws.ToString(e.Name)+"="+aws.ToString(e.Value))
			}
			for _, e := range c.Secrets {
				out = append(out, aws.ToString(e.Name)+"="+madeAnew.ReplaceAllString(aws.ToString(e.ValueFrom), "$1"))
			}
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	for arn := range s.good {
		if good := o.revisions[arn]; good != nil && version(good) == version(r) {
			return true
		}
	}
	return false
}

func (o *Observer) wasGood(s *serviceSeen, ask string) bool {
	for arn := range s.good {
		if o.revisions[arn].ask == ask {
			return true
		}
	}
	return false
}

// again reports whether the revision is one that was good, registered once more because somebody deregistered it.
func (o *Observer) again(s *serviceSeen, r *revision) bool {
	for arn := range s.good {
		was := o.revisions[arn]
		if was.ask == r.ask && !o.world.active(arn) && reflect.DeepEqual(was.definition.ContainerDefinitions, r.definition.ContainerDefinitions) {
			return true
		}
	}
	return false
}

func checksOf(word *desired.Service) string {
	b, err := json.Marshal(word.Spec.Verify.Checks)
	if err != nil {
		panic("story: checks that JSON cannot hold: " + err.Error())
	}
	return string(b)
}

type percentages struct{ MinimumHealthyPercent, MaximumPercent int32 }

// keepsServing holds property 7: the percentages are those of a word that was git's within the last while, whichever version that
// asked for: how to roll is git's to say for what is put back too.
func (o *Observer) keepsServing(in *awsecs.UpdateServiceInput, service string) {
	words := o.asks(service)
	got := percentages{MinimumHealthyPercent: aws.ToInt32(in.DeploymentConfiguration.MinimumHealthyPercent), MaximumPercent: aws.ToInt32(in.DeploymentConfiguration.MaximumPercent)}
	var asked []percentages
	for _, word := range words {
		want := percentages{0, 100}
		if word.Spec.Rollout.Strategy != desired.StrategyRecreate {
			if err := json.Unmarshal(word.Spec.Rollout.Params, &want); err != nil {
				panic("story: parameters of a valid file: " + err.Error())
			}
		}
		if got.MinimumHealthyPercent >= want.MinimumHealthyPercent && got.MaximumPercent <= want.MaximumPercent {
			return
		}
		asked = append(asked, want)
	}
	if len(words) > 0 {
		o.violation(7, "%s is rolled between %d and %d percent, git says %v", service, got.MinimumHealthyPercent, got.MaximumPercent, asked)
	}
}
