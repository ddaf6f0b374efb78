package story

import (
	"context"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

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
	if s.good[to].IsZero() && o.again(s, r) {
		s.good[to] = time.Now()
	}
	if !s.good[to].IsZero() {
		s.back = time.Now()
		return // properties 1 and 6 allow it, and no migration is due
	}
	word := o.wordFor(service, r)
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
