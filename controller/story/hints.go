package story

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/sim"
	simevents "github.com/canteen/deploy/controller/sim/events"
)

// What follows is about a queue with the account's events.

// queueService is the service that the queue is read by.
const queueService = "sqs"

const (
	hintsQueue = "deploy-events"
	hintsRule  = "deploy"
)

// hintsPattern is the rule of the README.
const hintsPattern = `{
  "source": ["aws.ecs", "aws.cloudwatch"],
  "detail-type": ["ECS Task State Change", "ECS Deployment State Change", "ECS Service Action", "CloudWatch Alarm State Change"]
}`

// punctual is how long an event takes when all is well. The numbers are odd, so that none comes at the instant of something else.
func punctual() simevents.Trouble {
	return simevents.Trouble{MinDelay: 211*time.Millisecond + 13*time.Microsecond, MaxDelay: 887 * time.Millisecond}
}

var givenHints = regexp.MustCompile(`^given events(?: that (are doubled|are lost|come up to (\S+) late))?$`)

// givenEvents reads the lines about events.
func (s *Story) givenEvents(text string) (bool, error) {
	m := givenHints.FindStringSubmatch(text)
	if m == nil {
		return false, nil
	}
	s.Options.Events = true
	switch {
	case m[1] == "are doubled":
		s.Options.Trouble.Doubled = 1
	case m[1] == "are lost":
		s.Options.Trouble.Lost = 1
	case m[2] != "":
		d, err := time.ParseDuration(m[2])
		s.Options.Trouble.LateBy = d
		return true, err
	}
	return true, nil
}

// Trouble is what is wrong with events.
type Trouble struct {
	Doubled, Lost float64       // probabilities
	LateBy        time.Duration // how much later one may come, each by itself, so that none is in order
}

func (w *World) hintTrouble(t Trouble) {
	p := punctual()
	p.Doubled, p.Lost = t.Doubled, t.Lost
	if t.LateBy > 0 {
		p.Late, p.LateBy = 1, t.LateBy
	}
	w.account.Events.SetTrouble(p)
}

func (w *World) queueURL() string {
	return fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", sim.DefaultRegion, sim.DefaultAccount, hintsQueue)
}

// listens makes the queue and the rule, as the README's infrastructure does.
func (w *World) listens() error {
	if !w.opts.Events {
		return nil
	}
	ctx := context.Background()
	w.hintTrouble(w.opts.Trouble)
	rule, err := w.account.Events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String(hintsRule), EventPattern: aws.String(hintsPattern)})
	if err != nil {
		return err
	}
	arn := fmt.Sprintf("arn:aws:sqs:%s:%s:%s", sim.DefaultRegion, sim.DefaultAccount, hintsQueue)
	policy := fmt.Sprintf(`{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, *rule.RuleArn)
	if _, err := w.account.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(hintsQueue), Attributes: map[string]string{
		"Policy": policy, "MessageRetentionPeriod": "1209600",
	}}); err != nil {
		return err
	}
	_, err = w.account.Events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String(hintsRule), Targets: []ebtypes.Target{{Id: aws.String("1"), Arn: &arn}}})
	return err
}

// listener is the ear of one life, nil where the world has no queue; told is the same for the account.
func (w *World) listener(log *zap.Logger) (l *events.Listener, told account.Told) {
	if !w.opts.Events {
		return nil, nil
	}
	l = events.New(w.queueURL(), log)
	return l, l
}

// hints is what the controller tells of the queue.
func (t *Telling) hints() events.State {
	if t.life == nil {
		return events.State{}
	}
	if s := t.life.app.Board().Snapshot().Events; s != nil {
		return *s
	}
	return events.State{}
}

// left is how many messages are in the queue, hidden ones included.
func (w *World) left() (string, error) {
	out, err := w.account.SQS.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String(w.queueURL()), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	if err != nil {
		return "", err
	}
	var some []string
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		if n := out.Attributes[name]; n != "0" {
			some = append(some, name+" is "+n)
		}
	}
	return strings.Join(some, ", "), nil
}

func hintVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`events are lost from now on`: func(t *Telling, _ []string) error { t.hintTrouble(Trouble{Lost: 1}); return nil },
		`events come again`:           func(t *Telling, _ []string) error { t.hintTrouble(Trouble{}); return nil },
		`somebody sends to the queue: (.+)`: func(t *Telling, a []string) error {
			_, err := t.account.SQS.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: aws.String(t.queueURL()), MessageBody: &a[0]})
			return err
		},
		`expect the sweep to be (slow|ordinary)(?: within (\S+))?`: func(t *Telling, a []string) error {
			return t.awaits(a[1], func() error {
				if t.hints().Slow != (a[0] == "slow") {
					return fmt.Errorf("it is not: %+v", t.hints())
				}
				return nil
			})
		},
		`expect (?:(\w+) )?drift to be seen within (\S+)`: func(t *Telling, a []string) error {
			return t.awaits(a[1], func() error {
				if v := t.view(or(a[0])); v == nil || v.Status.Condition(condition.Drifted).Status != condition.True {
					return errors.New("it is not")
				}
				return nil
			})
		},
		`expect the queue's trouble to be told(?: within (\S+))?`: func(t *Telling, a []string) error {
			return t.awaits(a[0], func() error {
				if t.hints().Error == "" {
					return errors.New("nothing is told")
				}
				return nil
			})
		},
		`expect the queue to be empty(?: within (\S+))?`: func(t *Telling, a []string) error {
			return t.awaits(a[0], func() error {
				left, err := t.left()
				if err == nil && left != "" {
					err = errors.New(left)
				}
				return err
			})
		},
	})
}

func (t *Telling) awaits(limit string, missing func() error) error {
	d, err := within(limit, 20*time.Minute)
	if err != nil {
		return err
	}
	return t.Await(d, missing)
}
