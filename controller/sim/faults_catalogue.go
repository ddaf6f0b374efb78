package sim

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/canteen/deploy/controller/sim/events"
	"github.com/canteen/deploy/controller/sim/script"
	"github.com/canteen/deploy/controller/sim/wire"
)

// catalogue is every named fault.
func catalogue() map[string]fault {
	out := map[string]fault{}
	for _, group := range []map[string]fault{refusals(), moreRefusals(), askedRefusals(), answerFaults(), imageFaults(), thingFaults(), taskFaults(), serviceFaults(), balancerFaults(), actorFaults()} {
		maps.Copy(out, group)
	}
	return out
}

func refusal(service, operation, code, message string) fault {
	status := http.StatusBadRequest
	if code == "ServerException" {
		status = http.StatusInternalServerError
	}
	return fault{symptom: strings.TrimSpace(code + " " + message), call: &wire.Fault{
		Service: service, Operation: operation, Before: &wire.StatusError{Status: status, Code: code, Message: message},
	}}
}

// refusals are calls that are refused, late or unanswered.
func refusals() map[string]fault {
	invalid := func(operation, message string) fault {
		return refusal("ecs", operation, "InvalidParameterException", message)
	}
	return map[string]fault{
		"credentials-expired":        refusal("", "", "ExpiredTokenException", "The security token included in the request is expired"),
		"cluster-missing":            refusal("ecs", "", "ClusterNotFoundException", "Cluster not found."),
		"service-missing":            refusal("ecs", "UpdateService", "ServiceNotFoundException", "Service not found."),
		"service-not-active":         refusal("ecs", "UpdateService", "ServiceNotActiveException", "Service was not ACTIVE."),
		"task-definition-missing":    refusal("ecs", "DescribeTaskDefinition", "ClientException", "Unable to describe task definition."),
		"task-definition-inactive":   refusal("ecs", "UpdateService", "ClientException", "TaskDefinition is inactive"),
		"revision-quota":             refusal("ecs", "RegisterTaskDefinition", "LimitExceededException", "The maximum number of revisions per task definition family has been reached."),
		"page-token-expired":         invalid("", "Invalid token."),
		"launch-type-incompatible":   refusal("ecs", "UpdateService", "PlatformTaskDefinitionIncompatibilityException", "The task definition is not compatible with the platform version."),
		"namespace-missing":          refusal("ecs", "UpdateService", "NamespaceNotFoundException", "The specified namespace wasn't found."),
		"token-conflict":             refusal("ecs", "RunTask", "ConflictException", "The clientToken was used with other parameters."),
		"account-blocked":            refusal("ecs", "", "BlockedException", "Your Amazon Web Services account was blocked."),
		"feature-unsupported":        refusal("ecs", "", "UnsupportedFeatureException", "The specified task isn't supported in this Region."),
		"throttled":                  {symptom: "ThrottlingException Rate exceeded", call: &wire.Fault{Before: wire.Throttled()}},
		"server-error":               refusal("", "", "ServerException", "Service Unavailable. Please try again later."),
		"server-error-after-effect":  {symptom: "500 although the write took effect", call: &wire.Fault{After: &wire.StatusError{Status: http.StatusInternalServerError, Code: "ServerException", Message: "Service Unavailable. Please try again later."}}},
		"unavailable":                {symptom: "503 ServiceUnavailable", call: &wire.Fault{Before: &wire.StatusError{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "Service is unavailable"}}},
		"response-lost":              {symptom: "the connection breaks after the effect", call: &wire.Fault{After: wire.ErrResponseLost}},
		"connection-reset":           {symptom: "the connection breaks before the effect", call: &wire.Fault{Before: wire.ErrResponseLost}},
		"slow":                       {symptom: "answers take `by` longer, 10 s unless given", call: &wire.Fault{Delay: 10 * time.Second}},
		"log-group-not-found":        refusal("logs", "", "ResourceNotFoundException", "The specified log group does not exist."),
		"target-group-not-found":     refusal("elasticloadbalancing", "DescribeTargetHealth", "TargetGroupNotFound", "One or more target groups not found"),
		"target-health-unavailable":  {symptom: "500 HealthUnavailable", call: &wire.Fault{Service: "elasticloadbalancing", Operation: "DescribeTargetHealth", Before: &wire.StatusError{Status: 500, Code: "HealthUnavailable", Message: "The health of the specified targets could not be retrieved due to an internal error"}}},
		"stopping-deployment-denied": refusal("ecs", "StopServiceDeployment", "ConflictException", "The service deployment is already being stopped."),
	}
}

func pullFault(text string) fault {
	return fault{symptom: "CannotPullContainerError: " + text, image: &script.Script{PullError: text}}
}

// imageFaults are what containers of the image Target, or of all images, do that start from now on. Those other
// than of the pull need modelled tasks.
func imageFaults() map[string]fault {
	return map[string]fault{
		"pull-not-found":           pullFault("pull image manifest has been retried 7 time(s): failed to resolve ref image: not found"),
		"pull-denied":              pullFault("pull image manifest has been retried 1 time(s): unable to retrieve ecr registry auth: AccessDeniedException"),
		"pull-timeout":             pullFault("pull image manifest has been retried 5 time(s): dial tcp 10.0.0.1:443: i/o timeout"),
		"pull-rate-limit":          pullFault("toomanyrequests: You have reached your pull rate limit"),
		"pull-architecture":        pullFault("image Manifest does not contain descriptor matching platform 'linux/arm64'"),
		"pull-disk-full":           pullFault("failed to extract layer: no space left on device"),
		"start-no-executable":      {symptom: "CannotStartContainerError: … executable file not found in $PATH", image: &script.Script{StartError: `CannotStartContainerError: exec: "/worker": executable file not found in $PATH`}},
		"crash":                    {symptom: "exits 1 after 2 s: Essential container in task exited", image: &script.Script{Exit: &script.Exit{After: 2 * time.Second, Code: 1}}},
		"crash-late":               {symptom: "exits 1 after 5 min, when the deployment may be complete", image: &script.Script{Exit: &script.Exit{After: 5 * time.Minute, Code: 1}}},
		"exit-zero":                {symptom: "exits 0 after 2 s: a job run as a service", image: &script.Script{Exit: &script.Exit{After: 2 * time.Second}}},
		"out-of-memory":            {symptom: "exit 137, OutOfMemoryError: Container killed due to memory usage", image: &script.Script{Exit: &script.Exit{After: 20 * time.Second, Code: 137, Reason: "OutOfMemoryError: Container killed due to memory usage"}}},
		"unhealthy":                {symptom: "Health checks failed with these codes: [503]", image: &script.Script{HealthStatus: http.StatusServiceUnavailable}},
		"hangs":                    {symptom: "Target.Timeout, Request timed out", image: &script.Script{Hangs: true}},
		"wrong-port":               {symptom: "Target.FailedHealthChecks: connections are refused", image: &script.Script{StartsIn: 24 * time.Hour}},
		"slow-boot":                {symptom: "connections are refused for 3 min", image: &script.Script{StartsIn: 3 * time.Minute}},
		"turns-unhealthy":          {symptom: "healthy for 2 min, then 503", image: &script.Script{HealthyFor: 2 * time.Minute}},
		"hangs-later":              {symptom: "healthy for 2 min, then Target.Timeout", image: &script.Script{HealthyFor: 2 * time.Minute, HangsAfter: true}},
		"pull-no-repository":       pullFault("pull access denied, repository does not exist or may require 'docker login'"),
		"container-unhealthy":      {symptom: "Task failed container health checks", image: &script.Script{ContainerHealth: []script.Health{{After: 5 * time.Second, Status: ecstypes.HealthStatusUnhealthy}}}},
		"container-health-unknown": {symptom: "healthStatus stays UNKNOWN", image: &script.Script{ContainerHealth: []script.Health{}}},
		"never-ends":               {symptom: "RUNNING for ever", image: &script.Script{}},
	}
}

// thingFaults take something away, or set something, and put it back when they are removed.
func thingFaults() map[string]fault {
	return map[string]fault{
		"service-linked-role": {symptom: "InvalidParameterException Unable to assume the service linked role. Please verify that the ECS service linked role exists.", do: roleGone},
		"subnet-gone":         networkGone(subnetKind, "InvalidParameterException Error retrieving subnet information for […]: The subnet ID '…' does not exist (ErrorCode: InvalidSubnetID.NotFound)"),
		"security-group-gone": networkGone(groupKind, "InvalidParameterException Error retrieving security group information for […]: The security group '…' does not exist (ErrorCode: InvalidGroup.NotFound)"),
		"secret-gone":         {symptom: "ResourceInitializationError: … ResourceNotFoundException: Secrets Manager can't find the specified secret", do: secretGone},
		"parameter-gone":      {symptom: "ResourceInitializationError: … invalid parameters", do: parameterGone},
		"log-group-gone":      {symptom: "ResourceInitializationError: failed to validate logger args: The specified log group does not exist", do: logGroupGone},
		"image-gone":          {symptom: "CannotPullContainerError: … not found, at the next replacement; `target: repository:tag` or `repository@digest`", do: imageGone},
		"stack-busy":          {symptom: "the stack is UPDATE_IN_PROGRESS", do: stackBusy},
		"stack-gone":          {symptom: "ValidationError Stack with id X does not exist", do: stackGone},
		"logs-late":           {symptom: "log lines are found `by` later, 5 min unless given", do: logsLate},
		"events-lost":         eventTrouble("no event arrives", events.Trouble{Lost: 1}),
		"events-late":         eventTrouble("events arrive up to 5 min late", events.Trouble{Late: 1, LateBy: 5 * time.Minute}),
		"events-doubled":      eventTrouble("every event arrives twice", events.Trouble{Doubled: 1, MaxDelay: 2 * time.Second}),
		"events-shuffled":     eventTrouble("events arrive out of order", events.Trouble{MaxDelay: 30 * time.Second}),
	}
}

type undo = func() error

func roleGone(_ context.Context, a *Account, _ NamedFault) (undo, error) {
	a.ECS.SetServiceLinkedRole(false)
	return func() error { a.ECS.SetServiceLinkedRole(true); return nil }, nil
}

// networkGone takes the subnet or security group Target away, or all of them.
func networkGone(kind, symptom string) fault {
	return fault{symptom: symptom, do: func(_ context.Context, a *Account, f NamedFault) (undo, error) {
		return a.network.lose(kind, f.Target)
	}}
}

func secretGone(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	old, err := a.Secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &f.Target})
	if err != nil {
		return nil, err
	}
	if _, err := a.Secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &f.Target, ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
		return nil, err
	}
	return func() error {
		a.Secrets.PutBack(aws.ToString(old.Name), aws.ToString(old.ARN), aws.ToString(old.SecretString))
		return nil
	}, nil
}

func parameterGone(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	old, err := a.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &f.Target, WithDecryption: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	if _, err := a.SSM.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: old.Parameter.Name}); err != nil {
		return nil, err
	}
	return func() error {
		_, err := a.SSM.PutParameter(context.WithoutCancel(ctx), &ssm.PutParameterInput{Name: old.Parameter.Name, Value: old.Parameter.Value, Type: old.Parameter.Type})
		return err
	}, nil
}

func logGroupGone(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	if _, err := a.Logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &f.Target}); err != nil {
		return nil, err
	}
	return func() error {
		_, err := a.Logs.CreateLogGroup(context.WithoutCancel(ctx), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &f.Target})
		return err
	}, nil
}

func imageGone(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	repository, id := f.Target, ecrtypes.ImageIdentifier{}
	separator := ":"
	if name, digest, ok := strings.Cut(f.Target, "@"); ok {
		repository, id.ImageDigest, separator = name, &digest, "@"
	} else if name, tag, ok := strings.Cut(f.Target, ":"); ok {
		repository, id.ImageTag = name, &tag
	}
	digest, spec, err := a.ECR.Resolve(a.ECR.Registry() + "/" + f.Target)
	if err != nil {
		return nil, err
	}
	if separator == ":" {
		id = ecrtypes.ImageIdentifier{ImageDigest: &digest, ImageTag: id.ImageTag}
	}
	if _, err := a.ECR.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: []ecrtypes.ImageIdentifier{id}}); err != nil {
		return nil, err
	}
	return func() error { return a.ECR.Put(repository, aws.ToString(id.ImageTag), digest, spec) }, nil
}

func setAlarm(ctx context.Context, a *Account, f NamedFault, state cwtypes.StateValue) (undo, error) {
	set := func(v cwtypes.StateValue) error {
		_, err := a.Alarms.SetAlarmState(context.WithoutCancel(ctx), &cloudwatch.SetAlarmStateInput{AlarmName: &f.Target, StateValue: v, StateReason: aws.String("a fault")})
		return err
	}
	return func() error { return set(cwtypes.StateValueOk) }, set(state)
}

func stackBusy(_ context.Context, a *Account, f NamedFault) (undo, error) {
	return func() error { return a.CFN.SetStatus(f.Target, cfntypes.StackStatusUpdateComplete, "") },
		a.CFN.SetStatus(f.Target, cfntypes.StackStatusUpdateInProgress, "")
}

func stackGone(_ context.Context, a *Account, f NamedFault) (undo, error) {
	old, ok := a.CFN.Get(f.Target)
	if !ok {
		return nil, fmt.Errorf("there is no such stack")
	}
	a.CFN.Delete(f.Target)
	return func() error { a.CFN.Put(old); return nil }, nil
}

func logsLate(_ context.Context, a *Account, f NamedFault) (undo, error) {
	by := time.Duration(f.By)
	if by == 0 {
		by = 5 * time.Minute
	}
	a.Logs.SetDelay(by)
	return func() error { a.Logs.SetDelay(0); return nil }, nil
}

func eventTrouble(symptom string, t events.Trouble) fault {
	return fault{symptom: symptom, do: func(_ context.Context, a *Account, _ NamedFault) (undo, error) {
		a.Events.SetTrouble(t)
		return func() error { a.Events.SetTrouble(events.Trouble{}); return nil }, nil
	}}
}
