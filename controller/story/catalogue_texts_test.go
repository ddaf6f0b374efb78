package story

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

// misleading stands in place of every text that AWS writes for people: it has the words of many troubles, and none is meant.
const misleading = "CannotPullContainerError: AccessDeniedException: unable to retrieve secret: i/o timeout: toomanyrequests: RESOURCE:MEMORY: OutOfMemoryError: " +
	"capacity is unavailable: log group: unable to assume the role: platform: no space left: throttled: has started 9 tasks"

// textOnly are the rows of which ECS says by text alone what they are: tasks that never ran have one code for all reasons
// (TaskFailedToStart), and tasks that the scheduler stops have one for being unhealthy and for being too many
// (ServiceSchedulerInitiated). See "Stopped tasks error codes" in the ECS developer guide.
var textOnly = map[string]string{
	"TaskFailedToStart":         "B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B13 B14 B15 B16 B20 B21 B22 B23 C20 C21 C25 D25",
	"ServiceSchedulerInitiated": "C5 C6 C7 C8 D8",
}

// Where ECS and its neighbours give a code, a type or a state, every text may say anything: the class is the same, and so are
// result, phase and condition.
func TestTextsDecideNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("TestCatalogue tells the same rows with their texts")
	}
	met, _ := readCatalogue(t)
	told := map[string]bool{}
	for _, e := range met {
		key := e.row + e.class
		if e.row[0] == 'A' && !*long {
			key = e.cond + e.when // the same answer to the same question, under another text
		}
		if byText(e.row) || told[key] || e.class == "-" {
			continue // one line for each row and class
		}
		told[key] = true
		t.Run(e.row+"_"+e.class, func(t *testing.T) {
			t.Parallel()
			e.run(t, func(o *Options) { o.Outermost = twist })
		})
	}
	if len(told) < 50 {
		t.Errorf("only %d rows were told", len(told))
	}
}

func byText(row string) bool {
	for _, rows := range textOnly {
		if slices.Contains(strings.Fields(rows), row) {
			return true
		}
	}
	return false
}

// twist changes every text for people, in answers and in errors.
func twist(next wire.Next) wire.Next {
	return func(ctx context.Context, c *wire.Call) (any, error) {
		out, err := next(ctx, c)
		if err != nil {
			return out, twistError(err)
		}
		return twistAnswer(out), nil
	}
}

// twistError is the same error with another message.
func twistError(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	v := reflect.ValueOf(api).Elem()
	other := reflect.New(v.Type())
	other.Elem().Set(v)
	switch m := other.Elem().FieldByName("Message"); m.Kind() {
	case reflect.String:
		m.SetString(misleading)
	case reflect.Pointer:
		m.Set(reflect.ValueOf(aws.String(misleading)))
	}
	return other.Interface().(error)
}

func twistAnswer(out any) any {
	text := aws.String(misleading)
	switch out := out.(type) {
	case *awsecs.DescribeTasksOutput:
		shown := *out
		shown.Tasks = slices.Clone(shown.Tasks)
		for i := range shown.Tasks {
			shown.Tasks[i] = twistTask(shown.Tasks[i])
		}
		return &shown
	case *awsecs.DescribeServicesOutput:
		shown := *out
		shown.Services = slices.Clone(shown.Services)
		for i := range shown.Services {
			s := &shown.Services[i]
			s.Events, s.Deployments = slices.Clone(s.Events), slices.Clone(s.Deployments)
			for k := range s.Events {
				s.Events[k].Message = text
			}
			for k := range s.Deployments {
				s.Deployments[k].RolloutStateReason = text
			}
		}
		return &shown
	case *awsecs.DescribeServiceDeploymentsOutput:
		shown := *out
		shown.ServiceDeployments = slices.Clone(shown.ServiceDeployments)
		for i := range shown.ServiceDeployments {
			shown.ServiceDeployments[i].StatusReason = text
		}
		return &shown
	case *awsecs.RunTaskOutput:
		shown := *out
		shown.Failures = slices.Clone(shown.Failures)
		for i := range shown.Failures {
			shown.Failures[i].Detail = text
		}
		return &shown
	case *elb.DescribeTargetHealthOutput:
		shown := *out
		shown.TargetHealthDescriptions = slices.Clone(shown.TargetHealthDescriptions)
		for i := range shown.TargetHealthDescriptions {
			if h := shown.TargetHealthDescriptions[i].TargetHealth; h != nil {
				other := *h
				other.Description = text
				shown.TargetHealthDescriptions[i].TargetHealth = &other
			}
		}
		return &shown
	}
	return out
}

func twistTask(t types.Task) types.Task {
	if t.StoppedReason != nil {
		t.StoppedReason = aws.String(misleading)
	}
	t.Containers = slices.Clone(t.Containers)
	for i := range t.Containers {
		if t.Containers[i].Reason != nil {
			t.Containers[i].Reason = aws.String(misleading)
		}
	}
	return t
}
