package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
)

// Classify gives an error of the SDK its kind and AWS's own code, by type and code. An error that has a kind keeps it; nil
// stays nil. Reads that got no answer stay without a kind and are retried; writes that got none are Lost.
func Classify(err error) error {
	if err == nil || fault.KindOf(err) != fault.Unknown {
		return err
	}
	var budget *client.BudgetError
	if errors.As(err, &budget) {
		if errors.Is(err, context.Canceled) {
			return fault.New(fault.Unknown, "canceled", err)
		}
		return fault.New(fault.Throttled, "own_budget", err)
	}
	var api smithy.APIError
	answered := errors.As(err, &api)
	var write *client.WriteError
	if errors.As(err, &write) && write.Sent && (!answered || lost(err, api)) {
		return fault.New(fault.Lost, codeOf(api), err)
	}
	if !answered {
		return fault.New(fault.Unknown, "", err)
	}
	return fault.New(kindOf(operationOf(err), api), api.ErrorCode(), err)
}

// deed classifies err and says what was being done. It returns nil for a nil err.
func deed(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, Classify(err))...)
}

// blocked says of err that something outside git must change, whatever AWS called it.
func blocked(err error) error { return fault.New(fault.Blocked, fault.CodeOf(err), err) }

// lost reports whether the answer leaves open if the write took effect: AWS's own trouble after it had the request.
func lost(err error, api smithy.APIError) bool {
	return !client.IsThrottle(api.ErrorCode()) && (api.ErrorFault() == smithy.FaultServer || client.StatusOf(err) >= 500)
}

func codeOf(api smithy.APIError) string {
	if api == nil {
		return "no_answer"
	}
	return api.ErrorCode()
}

func operationOf(err error) string {
	var op *smithy.OperationError
	if errors.As(err, &op) {
		return op.OperationName
	}
	return ""
}

// kindOf is the table of codes. Some codes mean something else by operation: AWS answers ClientException and
// InvalidParameterException both for what git wrote and for what the account lacks.
func kindOf(operation string, api smithy.APIError) fault.Kind {
	code := api.ErrorCode()
	switch {
	case client.IsThrottle(code):
		return fault.Throttled
	case client.IsDenied(code):
		return fault.Blocked
	}
	switch code {
	case "ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException", "TaskSetNotFoundException",
		"ServiceDeploymentNotFoundException", "ResourceNotFoundException", "ImageNotFoundException",
		"RepositoryNotFoundException", "LayersNotFoundException", "LayerInaccessibleException", "NoSuchKey", "ParameterNotFound", "TargetGroupNotFound", "TargetGroupNotFoundException":
		return missing(operation)
	case "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue":
		return fault.Blocked
	case "ConflictException":
		return fault.Conflict
	case "LimitExceededException", "BlockedException", "UnsupportedFeatureException", "PlatformUnknownException",
		"PlatformTaskDefinitionIncompatibilityException", "NamespaceNotFoundException", "InvalidRequestException":
		// A quota, a feature, a platform, a secret that is scheduled for deletion: nothing that a commit could mend.
		return fault.Blocked
	case "ClientException":
		return clientException(operation)
	case "InvalidParameterException", "InvalidParameterValueException", "ValidationError", "ValidationException",
		"HierarchyTypeMismatch", "InvalidParameter", "SerializationException":
		return invalid(operation)
	}
	return fault.Unknown
}

// missing tells a look at something that is not there, which may be its answer, from a write for which the infrastructure
// lacks what must be there.
func missing(operation string) fault.Kind {
	switch operation {
	case "UpdateService", "RunTask", "RegisterTaskDefinition", "TagResource", "PutParameter":
		return fault.Blocked
	}
	return fault.NotFound
}

func clientException(operation string) fault.Kind {
	switch operation {
	case "DescribeTaskDefinition":
		// "Unable to describe task definition." is its only use there: it does not exist.
		return fault.NotFound
	case "RunTask":
		// Also the answer when a cluster has 500 tasks in PROVISIONING, which passes; ECS's reference says so.
		return fault.Unknown
	case "RegisterTaskDefinition":
		// Also the answer to a race within the family, "Too many concurrent attempts to create a new revision of the specified family.",
		// which passes within seconds: https://github.com/hashicorp/terraform-provider-aws/issues/9777.
		return fault.Unknown
	case "UpdateService":
		// "TaskDefinition is inactive": what git asks is fine, the revision is not.
		return fault.Blocked
	}
	return fault.Terminal
}

func invalid(operation string) fault.Kind {
	switch operation {
	case "UpdateService", "RunTask", "TagResource", "PutParameter":
		// Git decides nothing in these requests that was not checked before. What is refused is the account's: a subnet, a
		// role that is not ready yet, a target group without a listener. Some of it passes within minutes.
		return fault.Blocked
	case "StopTask":
		// An expired task: "The referenced task was not found."
		return fault.NotFound
	case "DescribeStacks":
		// A stack that does not exist is a ValidationError; CloudFormation has no other code for it.
		return fault.NotFound
	}
	return fault.Terminal
}
