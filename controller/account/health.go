package account

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/observed"
)

// alarmsPerCall is DescribeAlarms' limit of names.
const alarmsPerCall = 100

// observeTargets answers the targets of every target group of the service, one call for each.
func (a *Account) observeTargets(ctx context.Context, s *observed.Service) error {
	var failed []error
	for _, group := range s.TargetGroups {
		out, err := a.aws.ELB.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &group.ARN})
		if err != nil {
			failed = append(failed, deed(err, "look at the targets of %s", group.ARN))
			continue
		}
		for _, t := range out.TargetHealthDescriptions {
			target := observed.Target{Group: group.ARN}
			if t.Target != nil {
				target.ID, target.Port = aws.ToString(t.Target.Id), int(aws.ToInt32(t.Target.Port))
			}
			if h := t.TargetHealth; h != nil {
				target.State, target.Reason, target.Description = string(h.State), string(h.Reason), aws.ToString(h.Description)
			}
			s.Targets = append(s.Targets, target)
		}
	}
	return errors.Join(failed...)
}

// observeAlarms answers the alarms in the order of names, metric and composite ones; a name that CloudWatch does not know
// is AlarmMissing. Alarms are never answered from a cache.
func (a *Account) observeAlarms(ctx context.Context, s *observed.Service, names []string) error {
	found, err := a.alarmist.ask(ctx, "", names...)
	if err != nil {
		return deed(err, "look at %d alarms", len(names))
	}
	for _, n := range names {
		alarm, ok := found[n]
		if !ok {
			alarm = observed.Alarm{Name: n, State: observed.AlarmMissing}
		}
		s.Alarms = append(s.Alarms, alarm)
	}
	return nil
}

func describeAlarms(clients *client.Clients) func(context.Context, string, []string) (map[string]observed.Alarm, error) {
	return func(ctx context.Context, _ string, names []string) (map[string]observed.Alarm, error) {
		found := map[string]observed.Alarm{}
		in := &cloudwatch.DescribeAlarmsInput{
			AlarmNames: names, AlarmTypes: []cw.AlarmType{cw.AlarmTypeMetricAlarm, cw.AlarmTypeCompositeAlarm},
			MaxRecords: aws.Int32(alarmsPerCall),
		}
		for {
			out, err := clients.CloudWatch.DescribeAlarms(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, m := range out.MetricAlarms {
				found[aws.ToString(m.AlarmName)] = observed.Alarm{
					Name: aws.ToString(m.AlarmName), State: observed.AlarmState(m.StateValue),
					Reason: aws.ToString(m.StateReason), Since: since(m.StateTransitionedTimestamp, m.StateUpdatedTimestamp),
				}
			}
			for _, c := range out.CompositeAlarms {
				found[aws.ToString(c.AlarmName)] = observed.Alarm{
					Name: aws.ToString(c.AlarmName), State: observed.AlarmState(c.StateValue),
					Reason: aws.ToString(c.StateReason), Since: since(c.StateTransitionedTimestamp, c.StateUpdatedTimestamp),
				}
			}
			if aws.ToString(out.NextToken) == "" {
				return found, nil
			}
			in.NextToken = out.NextToken
		}
	}
}

// since is when the state began; alarms that have not changed since CloudWatch keeps that only say when they were updated.
func since(transitioned, updated *time.Time) time.Time {
	if transitioned != nil {
		return *transitioned
	}
	return aws.ToTime(updated)
}
