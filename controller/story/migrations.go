package story

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/desired"
)

// keyOf is what makes two migrations the same one: what they change, their command and their image.
func (o *Observer) keyOf(r *revision, m *desired.Migration) string {
	image := ""
	for _, c := range r.definition.ContainerDefinitions {
		if aws.ToString(c.Name) == m.Container {
			_, image, _ = strings.Cut(aws.ToString(c.Image), "@")
		}
	}
	return strings.Join([]string{m.Lock, strings.Join(m.Command, " "), image}, "|")
}

// migrated reports whether a task of that migration ended with 0.
func (o *Observer) migrated(key string) bool {
	for _, m := range o.migrations {
		if m.key == key && m.code != nil && *m.code == 0 {
			return true
		}
	}
	return false
}

// leaves notes what a breaking migration has left behind, once the version that it ran for is rolled: then the controller knows that
// it succeeded, whatever it forgets later.
func (o *Observer) leaves(s *serviceSeen, r *revision, word *desired.Service) {
	if word == nil || word.Spec.Migration == nil || word.Spec.Migration.Compatibility != desired.CompatibilityBreaking {
		return
	}
	key := o.keyOf(r, word.Spec.Migration)
	for _, m := range o.migrations {
		if m.key != key || !m.breaking || m.code == nil || *m.code != 0 {
			continue
		}
		m.breaking = false
		for arn := range s.good {
			if ask := o.revisions[arn].ask; ask != r.ask {
				s.behind[ask] = m.retry
			}
		}
	}
}

// returns holds property 1 for what was left behind: it is rolled only where git asks for it and has raised retry since.
func (o *Observer) returns(s *serviceSeen, service string, r *revision) {
	retry, behind := s.behind[r.ask]
	if !behind {
		return
	}
	for _, word := range o.asks(service) {
		if o.says(word, r) && word.Spec.Retry > retry {
			delete(s.behind, r.ask)
			return
		}
	}
	o.violation(1, "%s was rolled to %s, which a breaking migration has left behind", service, last(r.arn))
}

// ran holds property 3, and 6: what was good here is never migrated again.
func (o *Observer) ran(in *awsecs.RunTaskInput, was *types.Service, out *awsecs.RunTaskOutput) {
	if len(out.Tasks) == 0 {
		return
	}
	task := aws.ToString(out.Tasks[0].TaskArn)
	if o.migrations[task] != nil {
		return // the client token made it the same task
	}
	arn := aws.ToString(out.Tasks[0].TaskDefinitionArn)
	r := o.revisions[arn]
	if r == nil || was == nil {
		o.violation(3, "a task of %s was run, which the controller never registered for a service", last(arn))
		return
	}
	service := aws.ToString(was.ServiceName)
	o.mustBeNeeded(service, "RunTask", was)
	o.tries(service, r)
	word := o.wordSince(service, r, o.runs[aws.ToString(in.ClientToken)])
	if word == nil || word.Spec.Migration == nil {
		o.violation(3, "a task of %s was run although git asks for no migration of it", last(arn))
		return
	}
	m := &migrationSeen{service: service, lock: word.Spec.Migration.Lock, key: o.keyOf(r, word.Spec.Migration), container: word.Spec.Migration.Container, startedAt: time.Now(),
		breaking: word.Spec.Migration.Compatibility == desired.CompatibilityBreaking, retry: word.Spec.Retry}
	for _, c := range r.definition.ContainerDefinitions {
		if aws.ToString(c.Name) == m.container {
			m.tag = o.world.tagOf(service, aws.ToString(c.Image))
		}
	}
	o.world.journal.add("effect", "RunTask %s: %s", last(arn), strings.Join(in.Overrides.ContainerOverrides[0].Command, " "))
	for _, other := range o.migrations {
		if other.lock == m.lock && other.endedAt.IsZero() {
			o.violation(3, "the migration of %s began while that of %s held the lock %s", m.tag, other.tag, m.lock)
		}
	}
	if o.migrated(m.key) {
		o.violation(3, "the migration of %s ran again after it had succeeded", m.tag)
	}
	if o.wasGood(o.of(service), r.ask) {
		o.violation(6, "%s was migrated, although its ask was good here", last(arn))
	}
	o.migrations[task] = m
}

// stopped holds property 3: only a migration that takes too long is stopped.
func (o *Observer) stopped(in *awsecs.StopTaskInput) {
	m := o.migrations[aws.ToString(in.Task)]
	if m == nil {
		o.violation(7, "a task was stopped that is none of the migrations")
		return
	}
	o.world.journal.add("effect", "StopTask: the migration of %s, %s", m.tag, aws.ToString(in.Reason))
	words := o.asks(m.service)
	if len(words) == 0 || words[len(words)-1].Spec.Migration == nil {
		return
	}
	if limit := words[len(words)-1].Spec.Migration.Timeout.Std(); time.Since(m.startedAt)+o.world.precision() < limit {
		o.violation(3, "the migration of %s was stopped before its timeout of %s", m.tag, limit)
	}
}

// Migrations counts the migration tasks that were started of an image.
func (o *Observer) Migrations(service, tag string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, m := range o.migrations {
		if m.service == service && m.tag == tag {
			n++
		}
	}
	return n
}

// Effects counts the controller's requests that took effect, by operation.
func (o *Observer) Effects(operation string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.effects[operation]
}
