package sim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/canteen/deploy/controller/sim/cfn"
	"github.com/canteen/deploy/controller/sim/dynamodb"
	"github.com/canteen/deploy/controller/sim/script"
)

// Plant puts a seed into the account, through the operations that clients use and under their rules, but
// neither throttled nor counted. An error names the entry by its path; what stands before it is there then.
func (a *Account) Plant(ctx context.Context, s *Seed) error {
	p := planter{account: a, names: map[string]string{}}
	a.Logs.SetDelay(time.Duration(s.LogDelay))
	for _, step := range []func(context.Context, *Seed) error{
		p.vpc, p.clusters, p.logGroups, p.repositories, p.secrets, p.parameters, p.targetGroups, p.loadBalancers, p.stacks, p.alarms, p.tables,
		p.hooks, p.taskDefinitions, p.role, p.services, p.faults,
	} {
		if err := step(ctx, s); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	return nil
}

// planter remembers what ${kind:name} stands for.
type planter struct {
	account *Account
	names   map[string]string
}

func each[T any](section string, items []T, do func(T) error) error {
	for i, item := range items {
		if err := do(item); err != nil {
			return fmt.Errorf("%s[%d]: %w", section, i, err)
		}
	}
	return nil
}

func (p planter) clusters(ctx context.Context, s *Seed) error {
	return each("clusters", s.Clusters, func(name string) error {
		_, err := p.account.ECS.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: &name})
		return err
	})
}

func (p planter) logGroups(ctx context.Context, s *Seed) error {
	return each("logGroups", s.LogGroups, func(name string) error {
		_, err := p.account.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
		return err
	})
}

func (p planter) repositories(ctx context.Context, s *Seed) error {
	return each("repositories", s.Repositories, func(r SeedRepository) error {
		in := &ecr.CreateRepositoryInput{RepositoryName: &r.Name, ImageTagMutability: ecrtypes.ImageTagMutabilityMutable}
		if r.Immutable {
			in.ImageTagMutability = ecrtypes.ImageTagMutabilityImmutable
		}
		out, err := p.account.ECR.CreateRepository(ctx, in)
		if err != nil {
			return err
		}
		p.names["repository:"+r.Name] = *out.Repository.RepositoryUri
		return each("images", r.Images, func(i SeedImage) error {
			_, err := p.account.PushImage(r.Name, i)
			return err
		})
	})
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// PushImage puts an image into a repository under ECR's rules and answers its digest, which derives from
// repository and tag where the image names none.
func (a *Account) PushImage(repository string, i SeedImage) (digest string, err error) {
	digest = i.Digest
	switch {
	case digest == "":
		digest = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(repository+":"+i.Tag)))
	case !digestForm.MatchString(digest):
		return "", fmt.Errorf("digest must be sha256: and 64 hexadecimal digits, found %q", digest)
	}
	if i.Process != nil && (i.Script != nil || len(i.Commands) > 0) {
		return "", fmt.Errorf("an image has either process, or script and commands")
	}
	if i.Process == nil {
		if err := a.ECR.PutLabelled(repository, i.Tag, digest, i.Labels, nil); err != nil {
			return "", err
		}
		a.addRules(digest, i)
		return digest, nil
	}
	if a.processes == nil {
		return "", fmt.Errorf("process: this account runs modelled tasks only")
	}
	return digest, a.ECR.PutLabelled(repository, i.Tag, digest, i.Labels, i.Process)
}

func (a *Account) addRules(digest string, i SeedImage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range i.Commands {
		a.seedBook = append(a.seedBook, script.Rule{Match: script.Match{Image: digest, Command: c.Command}, Script: c.Script.script()})
	}
	if i.Script != nil {
		a.seedBook = append(a.seedBook, script.Rule{Match: script.Match{Image: digest}, Script: i.Script.script()})
	}
	a.setBook()
}

func (p planter) secrets(ctx context.Context, s *Seed) error {
	return each("secrets", s.Secrets, func(v SeedSecret) error {
		value := v.Value
		if v.JSON != nil {
			if value != "" {
				return fmt.Errorf("a secret has either value or json")
			}
			b, err := json.Marshal(v.JSON)
			if err != nil {
				return err
			}
			value = string(b)
		}
		out, err := p.account.Secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &v.Name, SecretString: &value})
		if err == nil {
			p.names["secret:"+v.Name] = *out.ARN
		}
		return err
	})
}

func (p planter) parameters(ctx context.Context, s *Seed) error {
	return each("parameters", s.Parameters, func(v SeedParameter) error {
		kind := ssmtypes.ParameterTypeString
		if v.Type != "" {
			kind = ssmtypes.ParameterType(v.Type)
		}
		if _, err := p.account.SSM.PutParameter(ctx, &ssm.PutParameterInput{Name: &v.Name, Value: &v.Value, Type: kind}); err != nil {
			return err
		}
		out, err := p.account.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &v.Name})
		if err == nil {
			p.names["parameter:"+v.Name] = *out.Parameter.ARN
		}
		return err
	})
}

func (p planter) targetGroups(ctx context.Context, s *Seed) error {
	return each("targetGroups", s.TargetGroups, func(g SeedGroup) error {
		if err := g.wholeSeconds(); err != nil {
			return err
		}
		in := &elbv2.CreateTargetGroupInput{
			Name: &g.Name, Port: &g.Port, Protocol: elbtypes.ProtocolEnumHttp, TargetType: elbtypes.TargetTypeEnumIp,
			HealthCheckPath: unlessZero(g.Path), HealthyThresholdCount: unlessZero(g.HealthyThreshold), UnhealthyThresholdCount: unlessZero(g.UnhealthyThreshold),
			HealthCheckIntervalSeconds: unlessZero(wholeSeconds(g.Interval)), HealthCheckTimeoutSeconds: unlessZero(wholeSeconds(g.Timeout)),
		}
		if g.Codes != "" {
			in.Matcher = &elbtypes.Matcher{HttpCode: &g.Codes}
		}
		out, err := p.account.ELB.CreateTargetGroup(ctx, in)
		if err != nil {
			return err
		}
		arn := out.TargetGroups[0].TargetGroupArn
		p.names["targetGroup:"+g.Name] = *arn
		if g.DeregistrationDelay == nil {
			return nil
		}
		_, err = p.account.ELB.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{
			TargetGroupArn: arn,
			Attributes: []elbtypes.TargetGroupAttribute{{
				Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String(fmt.Sprint(wholeSeconds(*g.DeregistrationDelay))),
			}},
		})
		return err
	})
}

func (p planter) loadBalancers(ctx context.Context, s *Seed) error {
	return each("loadBalancers", s.LoadBalancers, func(b SeedBalancer) error {
		out, err := p.account.ELB.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: &b.Name})
		if err != nil {
			return err
		}
		arn := out.LoadBalancers[0].LoadBalancerArn
		p.names["loadBalancer:"+b.Name] = *arn
		return each("listeners", b.Listeners, func(l SeedListener) error {
			action, err := p.forward(l)
			if err != nil {
				return err
			}
			p.account.ELB.SetRealPort(b.Name, l.Port, l.RealPort)
			made, err := p.account.ELB.CreateListener(ctx, &elbv2.CreateListenerInput{
				LoadBalancerArn: arn, Port: &l.Port, Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{action},
			})
			if err == nil {
				p.names[fmt.Sprintf("listener:%s/%d", b.Name, l.Port)] = *made.Listeners[0].ListenerArn
			}
			return err
		})
	})
}

func (p planter) forward(l SeedListener) (elbtypes.Action, error) {
	a := elbtypes.Action{Type: elbtypes.ActionTypeEnumForward}
	group, ok := p.names["targetGroup:"+l.TargetGroup]
	if !ok {
		return a, fmt.Errorf("targetGroup: there is no target group %q in targetGroups", l.TargetGroup)
	}
	if l.AlternateTargetGroup == "" {
		a.TargetGroupArn = &group
		return a, nil
	}
	alternate, ok := p.names["targetGroup:"+l.AlternateTargetGroup]
	if !ok || alternate == group {
		return a, fmt.Errorf("alternateTargetGroup: there is no other target group %q in targetGroups", l.AlternateTargetGroup)
	}
	a.ForwardConfig = &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{
		{TargetGroupArn: &group, Weight: aws.Int32(1)}, {TargetGroupArn: &alternate, Weight: aws.Int32(0)},
	}}
	return a, nil
}

func (p planter) stacks(_ context.Context, s *Seed) error {
	return each("stacks", s.Stacks, func(v SeedStack) error {
		status := types.StackStatus(v.Status)
		if v.Status != "" && !slices.Contains(status.Values(), status) {
			return fmt.Errorf("status: %q is not a status of a stack", v.Status)
		}
		outputs := map[string]string{}
		for _, k := range slices.Sorted(maps.Keys(v.Outputs)) {
			text, err := p.expand(v.Outputs[k])
			if err != nil {
				return fmt.Errorf("outputs.%s: %w", k, err)
			}
			outputs[k] = text
		}
		p.account.CFN.Put(cfn.Stack{Name: v.Name, Status: status, Outputs: outputs})
		return nil
	})
}

func (p planter) alarms(ctx context.Context, s *Seed) error {
	return each("alarms", s.Alarms, func(v SeedAlarm) error {
		in := &cloudwatch.PutMetricAlarmInput{
			AlarmName: &v.Name, MetricName: aws.String(cmp.Or(v.Metric, v.Name)), Namespace: aws.String(cmp.Or(v.Namespace, "Seed")), Statistic: cwtypes.StatisticSum,
			Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: &v.Threshold,
			ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
		}
		if v.Statistic != "" {
			in.Statistic = cwtypes.Statistic(v.Statistic)
		}
		if v.Comparison != "" {
			in.ComparisonOperator = cwtypes.ComparisonOperator(v.Comparison)
		}
		in.TreatMissingData = unlessZero(v.Missing)
		var err error
		if in.Dimensions, err = p.dimensions(v); err != nil {
			return err
		}
		if v.Period > 0 {
			in.Period = &v.Period
		}
		if v.Periods > 0 {
			in.EvaluationPeriods = &v.Periods
		}
		in.DatapointsToAlarm = unlessZero(v.Datapoints)
		if _, err := p.account.Alarms.PutMetricAlarm(ctx, in); err != nil {
			return err
		}
		state := cwtypes.StateValueOk
		if v.State != "" {
			state = cwtypes.StateValue(v.State)
		}
		_, err = p.account.Alarms.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{
			AlarmName: &v.Name, StateValue: state, StateReason: aws.String("seed"),
		})
		return err
	})
}

func (p planter) tables(_ context.Context, s *Seed) error {
	return each("tables", s.Tables, func(v SeedTable) error {
		if v.Name == "" || v.HashKey == "" {
			return fmt.Errorf("a table has name and hashKey")
		}
		p.account.DynamoDB.AddTable(dynamodb.Table{Name: v.Name, HashKey: v.HashKey, SortKey: v.SortKey})
		return nil
	})
}

// dimensions are an alarm's. A load balancer and a target group are named by the last part of their ARNs.
func (p planter) dimensions(v SeedAlarm) ([]cwtypes.Dimension, error) {
	all := maps.Clone(v.Dimensions)
	if all == nil {
		all = map[string]string{}
	}
	for _, d := range []struct{ dimension, kind, name, mark string }{
		{"LoadBalancer", "loadBalancer", v.LoadBalancer, ":loadbalancer/"}, {"TargetGroup", "targetGroup", v.TargetGroup, ":"},
	} {
		if d.name == "" {
			continue
		}
		arn, ok := p.names[d.kind+":"+d.name]
		if !ok {
			return nil, fmt.Errorf("%s: there is no %s in this file", d.kind, d.name)
		}
		all[d.dimension] = arn[strings.LastIndex(arn, d.mark)+len(d.mark):]
	}
	var out []cwtypes.Dimension
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, cwtypes.Dimension{Name: aws.String(k), Value: aws.String(all[k])})
	}
	return out, nil
}

func unlessZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// wholeSeconds refuses what the API could not say.
func (g SeedGroup) wholeSeconds() error {
	delay := Duration(0)
	if g.DeregistrationDelay != nil {
		delay = *g.DeregistrationDelay
	}
	for name, d := range map[string]Duration{"interval": g.Interval, "timeout": g.Timeout, "deregistrationDelay": delay} {
		if time.Duration(d)%time.Second != 0 {
			return fmt.Errorf("%s must be whole seconds, found %s", name, time.Duration(d))
		}
	}
	return nil
}

func wholeSeconds(d Duration) int32 { return int32(time.Duration(d) / time.Second) }
