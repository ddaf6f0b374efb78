package story

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/rollout"
)

func (w *World) definition(arn string) *types.TaskDefinition {
	out, err := w.account.ECS.DescribeTaskDefinition(context.Background(), &awsecs.DescribeTaskDefinitionInput{TaskDefinition: &arn})
	if err != nil {
		return &types.TaskDefinition{}
	}
	return out.TaskDefinition
}

func (w *World) active(arn string) bool {
	return w.definition(arn).Status == types.TaskDefinitionStatusActive
}

// verdictIn holds the newest verdict good to its time: so long after the end of its bake, which is after the deployment's
// COMPLETED by the account's own clock.
func (t *Telling) verdictIn(service, limit string) error {
	most, err := time.ParseDuration(limit)
	if err != nil {
		return err
	}
	past := t.ended(service)
	if len(past) == 0 || past[len(past)-1].Result != rollout.ResultSucceeded {
		return errors.New("the newest rollout did not succeed")
	}
	newest := past[len(past)-1]
	words := t.repo.asks(service, time.Now())
	bake := words[len(words)-1].Spec.Verify.Bake.Std()
	completed := t.Observer.completedAt(aws.ToString(primary(t.service(service)).Id))
	if late := newest.EndedAt.Sub(completed.Add(bake)); completed.IsZero() || late < 0 || late > most {
		return fmt.Errorf("the verdict came %s after the end of the bake, want at most %s", late, most)
	}
	return nil
}

func (o *Observer) completedAt(deployment string) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.completed[deployment]
}

// revertIn holds the newest revert to its time: its request took effect so long after the failure was there to be seen.
func (t *Telling) revertIn(service, limit, after string) error {
	most, err := time.ParseDuration(limit)
	if err != nil {
		return err
	}
	failed, reverted := t.Observer.failure(service, after), t.Observer.lastBack(service)
	switch after {
	case "the alarm":
		failed = t.moments[after]
	case "the panic":
		failed = t.firstLine(service, "panic")
	}
	if took := reverted.Sub(failed); failed.IsZero() || took < 0 || took > most {
		return fmt.Errorf("the revert took effect %s after %s, want at most %s", took, after, most)
	}
	return nil
}

// failure is when the account showed why the newest rollout failed.
func (o *Observer) failure(service, what string) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found time.Time
	for deployment := range o.of(service).deployed {
		at := o.gaveUp[deployment]
		if crashes := o.crashes[deployment]; what == "the second crash" {
			at = time.Time{}
			if len(crashes) > 1 {
				at = crashes[1]
			}
		}
		if at.After(found) {
			found = at
		}
	}
	return found
}

// lastBack is when the service was last rolled to a revision that had been good before.
func (o *Observer) lastBack(service string) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of(service).back
}

// firstLine is when the service's tasks first wrote a line with the word.
func (w *World) firstLine(service, word string) time.Time {
	out, err := w.account.Logs.FilterLogEvents(context.Background(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/ecs/" + service), FilterPattern: &word})
	if err != nil || len(out.Events) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(aws.ToInt64(out.Events[0].Timestamp))
}

// quietSince reports a write of the controller's after that time.
func (o *Observer) quietSince(from time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lastWrite.After(from) {
		return errors.New("the controller wrote to the account, which it should have left alone")
	}
	return nil
}
