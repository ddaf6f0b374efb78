package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

const gibberish = "Lorem ipsum dolor sit amet"

// scrambled puts gibberish in the place of every text that stands beside a code, a type or a state: messages of errors, of events and
// of deployments, and the reasons of tasks whose stop code says enough. What is left are the reasons of tasks that did not start or
// that the scheduler stopped, for which ECS has one code each, details of failures, and the event that counts tasks which were started: it
// tells when stopped tasks are worth a listing before the next one is due, and decides nothing.
func scrambled(next wire.Next) wire.Next {
	return func(ctx context.Context, c *wire.Call) (any, error) {
		out, err := next(ctx, c)
		var api smithy.APIError
		if errors.As(err, &api) {
			status := http.StatusBadRequest
			if api.ErrorFault() == smithy.FaultServer {
				status = http.StatusInternalServerError
			}
			var exact *wire.StatusError
			if errors.As(err, &exact) {
				status = exact.Status
			}
			return out, &wire.StatusError{Status: status, Code: api.ErrorCode(), Message: gibberish}
		}
		switch out := out.(type) {
		case *awsecs.DescribeServicesOutput:
			for i := range out.Services {
				for e := range out.Services[i].Events {
					if !strings.Contains(aws.ToString(out.Services[i].Events[e].Message), "has started") { // a hint that saves listings
						out.Services[i].Events[e].Message = aws.String(gibberish)
					}
				}
				for d := range out.Services[i].Deployments {
					out.Services[i].Deployments[d].RolloutStateReason = aws.String(gibberish)
				}
			}
		case *awsecs.DescribeServiceDeploymentsOutput:
			for i := range out.ServiceDeployments {
				out.ServiceDeployments[i].StatusReason = aws.String(gibberish)
			}
		case *awsecs.DescribeTasksOutput:
			for i := range out.Tasks {
				switch out.Tasks[i].StopCode {
				case types.TaskStopCodeTaskFailedToStart, types.TaskStopCodeServiceSchedulerInitiated:
				default:
					out.Tasks[i].StoppedReason = aws.String(gibberish)
				}
			}
		}
		return out, err
	}
}

// TestCatalogueWithoutItsTexts: the controller tells the rows of the catalogue apart by codes, types and states. Without the texts that
// stand beside those it comes to the same, row by row.
func TestCatalogueWithoutItsTexts(t *testing.T) {
	if testing.Short() {
		t.Skip("TestCatalogue tells the same rows with their texts")
	}
	met, _ := readCatalogue(t)
	count := map[string]int{}
	for _, e := range met {
		count[e.row]++
		t.Run(fmt.Sprintf("%s_%d", e.row, count[e.row]), func(t *testing.T) {
			t.Parallel()
			e.run(t, func(o *Options) { o.Outermost = scrambled })
		})
	}
}
