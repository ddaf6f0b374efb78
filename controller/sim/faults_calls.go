package sim

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// moreRefusals are refusals of what a request asks for. Most of them the account gives by itself where a request
// deserves them; here any request gets them.
func moreRefusals() map[string]fault {
	invalid := func(operation, message string) fault {
		return refusal("ecs", operation, "InvalidParameterException", message)
	}
	return map[string]fault{
		"service-draining":          invalid("CreateService", "Unable to Start a service that is still Draining."),
		"service-exists":            invalid("CreateService", "Creation of service was not idempotent."),
		"network-missing":           invalid("UpdateService", "Network Configuration must be provided when networkMode 'awsvpc' is specified."),
		"fargate-size":              refusal("ecs", "RegisterTaskDefinition", "ClientException", "No Fargate configuration exists for given values."),
		"task-definition-too-large": refusal("ecs", "RegisterTaskDefinition", "ClientException", "Actual length: '70000'. Max allowed length is '65536' bytes."),
		"tags-refused":              invalid("TagResource", "Long arn format must be used for tagging operations"),
		"member-immutable":          invalid("UpdateService", "The scheduling strategy cannot be updated."),
		"delete-above-zero":         invalid("DeleteService", "The service cannot be stopped while it is scaled above 0."),
		"deletion-fails": {symptom: "messages cannot be deleted: they come again, ApproximateReceiveCount grows", call: &wire.Fault{
			Service: "sqs", Operation: "DeleteMessage", Before: &wire.StatusError{Status: http.StatusInternalServerError, Code: "InternalError", Message: "We encountered an internal error. Please try again."},
		}},
	}
}

// answerFaults change answers.
func answerFaults() map[string]fault {
	return map[string]fault{
		"answer-partial": {symptom: "DescribeServices: 200, the last service is among failures[] as MISSING", call: &wire.Fault{
			Service: "ecs", Operation: "DescribeServices", Change: func(_ *wire.Call, out any) any {
				shown := *out.(*awsecs.DescribeServicesOutput)
				last := len(shown.Services) - 1
				if last < 0 {
					return out
				}
				shown.Failures = append(shown.Failures[:len(shown.Failures):len(shown.Failures)],
					ecstypes.Failure{Arn: shown.Services[last].ServiceArn, Reason: aws.String("MISSING")})
				shown.Services = shown.Services[:last]
				return &shown
			},
		}},
		"list-short": {symptom: "lists leave their last entry out, and no token leads to it", call: &wire.Fault{
			Service: "ecs", Operation: "ListServices", Change: func(_ *wire.Call, out any) any {
				shown := *out.(*awsecs.ListServicesOutput)
				if n := len(shown.ServiceArns); n > 0 && shown.NextToken == nil {
					shown.ServiceArns = shown.ServiceArns[:n-1]
				}
				return &shown
			},
		}},
	}
}
