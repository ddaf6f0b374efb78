package sim_test

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

func drills() map[string]drill {
	out := map[string]drill{}
	for _, group := range []map[string]drill{refusalDrills(), startDrills(), runningDrills(), deploymentDrills(), actorDrills(), controlPlaneDrills()} {
		for id, d := range group {
			out[id] = d
		}
	}
	return out
}

func forced(w *patient) { w.update(force) }

func registers(w *patient) {
	_, w.err = w.ecs.RegisterTaskDefinition(w.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String("x"), ContainerDefinitions: []ecstypes.ContainerDefinition{
		{Name: aws.String("x"), Image: aws.String("x"), Memory: aws.Int32(128)}}})
}

func creates(w *patient) {
	s := service(w.T, w.account)
	_, w.err = w.ecs.CreateService(w.Context(), &ecs.CreateServiceInput{Cluster: aws.String("orders-dev"), ServiceName: aws.String("other"), DesiredCount: aws.Int32(1),
		TaskDefinition: s.TaskDefinition, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: s.NetworkConfiguration})
}

// migrates runs the migration once.
func migrates(w *patient) {
	s := service(w.T, w.account)
	var out *ecs.RunTaskOutput
	out, w.err = w.ecs.RunTask(w.Context(), &ecs.RunTaskInput{
		Cluster: aws.String("orders-dev"), TaskDefinition: s.TaskDefinition, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: s.NetworkConfiguration,
		StartedBy: aws.String("drill"), ClientToken: aws.String("once"),
		Overrides: &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("app"), Command: []string{"/worker", cmp.Or(w.notes["command"], "migrate")}}}},
	})
	if w.err == nil && len(out.Tasks) > 0 {
		w.notes["task"] = *out.Tasks[0].TaskArn
	} else if w.err == nil {
		w.notes["failure"] = *out.Failures[0].Reason
	}
}

func (w *patient) task() ecstypes.Task {
	out := ok(w.T, w.ecs.DescribeTasks, &ecs.DescribeTasksInput{Cluster: aws.String("orders-dev"), Tasks: []string{w.notes["task"]}})
	if len(out.Tasks) == 0 {
		return ecstypes.Task{}
	}
	return out.Tasks[0]
}

func refusalDrills() map[string]drill {
	const invalid = "InvalidParameterException"
	describes := func(w *patient) {
		_, w.err = w.ecs.DescribeServices(w.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("orders-dev"), Services: []string{"orders"}})
	}
	return map[string]drill{
		"A1": refused(registers, "AccessDeniedException", "assumed-role/local/local is not authorized to perform: iam:PassRole on resource: *"),
		"A2": refused(forced, "AccessDeniedException", "is not authorized to perform: ecs:UpdateService on resource: arn:aws:ecs:eu-central-1:000000000000:service/orders-dev/orders"),
		"A3": refused(forced, "ExpiredTokenException", ""),
		"A4": refused(describes, "ClusterNotFoundException", "Cluster not found."),
		"A5": refused(forced, "ServiceNotFoundException", "Service not found."),
		"A6": refused(forced, "ServiceNotActiveException", "Service was not ACTIVE."),
		"A7": refused(creates, invalid, "still Draining"),
		"A8": refused(creates, invalid, "not idempotent"),
		"A9": refused(func(w *patient) {
			_, w.err = w.ecs.DescribeTaskDefinition(w.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("orders-dev")})
		}, "ClientException", "Unable to describe task definition."),
		"A10": refused(forced, "ClientException", "TaskDefinition is inactive"),
		"A11": refused(forced, invalid, "The container app does not exist in the task definition."),
		"A12": refused(forced, invalid, "The container app did not have a container port 8080 defined."),
		"A13": refused(forced, invalid, "targetgroup/orders-dev/"),
		"A14": refused(forced, invalid, "Unable to find target group arn:aws:elasticloadbalancing:"),
		"A15": refused(creates, invalid, "Unable to assume the service linked role"),
		"A16": refused(forced, invalid, "InvalidSubnetID.NotFound"),
		"A17": refused(forced, invalid, "InvalidGroup.NotFound"),
		"A18": refused(forced, invalid, "Network Configuration must be provided"),
		"A19": refused(registers, "ClientException", "No Fargate configuration exists"),
		"A20": refused(forced, "PlatformTaskDefinitionIncompatibilityException", ""),
		"A21": refused(forced, "PlatformUnknownException", ""),
		"A22": refused(registers, "ClientException", "Max allowed length"),
		"A23": refused(registers, "LimitExceededException", "revisions"),
		"A24": refused(func(w *patient) {
			_, w.err = w.ecs.TagResource(w.Context(), &ecs.TagResourceInput{ResourceArn: service(w.T, w.account).ServiceArn, Tags: []ecstypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
		}, invalid, "Long arn format"),
		"A25": refused(forced, "ThrottlingException", "Rate exceeded"),
		"A26": {then: forced, tell: func(w *patient) error {
			api, is := errors.AsType[smithy.APIError](w.err)
			return need(is && api.ErrorCode() == "ServerException" && len(w.service().Deployments) == 2, "%v, and %d deployments", w.err, len(w.service().Deployments))
		}},
		"A27": refused(forced, "NamespaceNotFoundException", ""),
		"A28": refused(migrates, "ConflictException", "clientToken"),
		"A29": refused(forced, "BlockedException", "blocked"),
		"A30": refused(forced, "UnsupportedFeatureException", ""),
		"A31": refused(forced, invalid, "cannot be updated"),
		"A32": refused(func(w *patient) {
			_, w.err = w.ecs.DeleteService(w.Context(), &ecs.DeleteServiceInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders"), Force: aws.Bool(true)})
		}, invalid, "scaled above 0"),
		"A33": {tell: func(w *patient) error {
			td := service(w.T, w.account).TaskDefinition
			w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = td })
			_, listed := w.ecs.ListServiceDeployments(w.Context(), &ecs.ListServiceDeploymentsInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders")})
			_, unsupported := errors.AsType[*ecstypes.UnsupportedFeatureException](listed)
			_, invalid := errors.AsType[*ecstypes.InvalidParameterException](w.err)
			return need(invalid && strings.Contains(w.err.Error(), "with a CODE_DEPLOY deployment controller") && unsupported && w.service().DeploymentController.Type == "CODE_DEPLOY",
				"update: %v; list: %v", w.err, listed)
		}},
	}
}

func startDrills() map[string]drill {
	return map[string]drill{
		"B1": stopped("not found"), "B2": stopped("repository does not exist"), "B3": stopped("unable to retrieve ecr registry auth"), "B4": stopped("i/o timeout"),
		"B5": stopped("toomanyrequests"), "B6": stopped("does not contain descriptor matching platform"), "B7": stopped("no space left on device"),
		"B8": stopped("CannotPullContainerError"), "B9": stopped("can't find the specified secret"), "B10": stopped("did not contain json key password"),
		"B11": stopped("secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-central-1:000000000000:secret:orders-dev/db-"), "B12": stopped("invalid parameters"), "B13": stopped("The specified log group does not exist"),
		"B14": stopped("failed to invoke EFS utils"), "B15": stopped("Timeout waiting for network interface provisioning"),
		"B16": stopped("InsufficientFreeAddressesInSubnet"),
		"B17": tells(replace, "Capacity is unavailable at this time"), "B18": tells(replace, "limit on the number of vCPUs"),
		"B19": {then: replace, sees: func(w *patient) bool {
			migrates(w)
			return w.said("no container instance met all of its requirements") && w.notes["failure"] == "RESOURCE:CPU"
		}},
		"B20": stopped("executable file not found"), "B21": stopped("TaskFailedToStart: a container"), "B22": stopped("EphemeralStorage provisioning"),
		"B23": {then: replace, sees: func(w *patient) bool {
			return w.said("failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::000000000000:role/orders-dev-execution'") &&
				w.anyTask(func(t ecstypes.Task) bool {
					return t.PullStartedAt == nil && strings.Contains(aws.ToString(t.StoppedReason), "unable to assume the role")
				})
		}},
		"B24": {then: replace, after: time.Hour, tell: func(w *patient) error {
			return need(w.anyTask(func(t ecstypes.Task) bool {
				return aws.ToString(t.LastStatus) == "PENDING" && t.PullStartedAt != nil && time.Since(*t.PullStartedAt) > 50*time.Minute && t.PullStoppedAt == nil
			}), "no task is PENDING for long")
		}},
	}
}

func runningDrills() map[string]drill {
	old := func(t ecstypes.Task, age time.Duration) bool {
		return aws.ToString(t.LastStatus) == "RUNNING" && t.StartedAt != nil && time.Since(*t.StartedAt) > age
	}
	failedELB := stopped("Task failed ELB health checks")
	return map[string]drill{
		"C1": exited(1, ""),
		"C2": {then: roll, sees: func(w *patient) bool {
			return completed(w.service()) && w.anyTask(func(t ecstypes.Task) bool {
				return *t.TaskDefinitionArn == w.notes["revision"] && t.StopCode == ecstypes.TaskStopCodeEssentialContainerExited && *t.Containers[0].ExitCode == 1
			})
		}},
		"C3": exited(0, ""), "C4": exited(137, "OutOfMemoryError"),
		"C5": targetSays(replace, "Target.FailedHealthChecks"), "C6": targetSays(replace, "Target.ResponseCodeMismatch", "[503]"), "C7": targetSays(replace, "Target.Timeout"),
		"C8": failedELB,
		"C9": {then: replace, after: 55 * time.Minute, tell: func(w *patient) error {
			return need(strings.Contains(w.target(), "unhealthy") && w.anyTask(func(t ecstypes.Task) bool { return old(t, 50*time.Minute) }), "targets: %s", w.target())
		}},
		"C10": stopped("Task failed container health checks"),
		"C11": {then: replace, after: time.Hour, tell: func(w *patient) error {
			return need(w.anyTask(func(t ecstypes.Task) bool {
				return old(t, 50*time.Minute) && t.HealthStatus == ecstypes.HealthStatusUnknown
			}), "no task stays UNKNOWN")
		}},
		"C12": targetSays(nil, "unused Target.NotInUse"),
		"C13": {then: replace, sees: func(w *patient) bool {
			return strings.Contains(w.target(), "TargetGroupNotFound") && w.said("failed to register targets in")
		}},
		"C14": stalls(roll, func(w *patient) error {
			return need(strings.Contains(w.target(), "unused Target.NotInUse Target is in an Availability Zone that is not enabled"), "%s", w.target())
		}),
		"C15": stalls(roll, func(w *patient) error {
			return need(strings.Contains(w.target(), "unavailable Target.HealthCheckDisabled"), "%s", w.target())
		}),
		"C34": {then: replace, sees: func(w *patient) bool {
			return w.anyTask(func(t ecstypes.Task) bool {
				last := t.Containers[len(t.Containers)-1]
				return t.StopCode == ecstypes.TaskStopCodeTaskFailedToStart && strings.HasPrefix(*last.Name, "ecs-service-connect-") && aws.ToString(last.Reason) != ""
			})
		}},
		"C35": {tell: func(w *patient) error {
			return need(w.service().RunningCount < 2, "%d tasks run", w.service().RunningCount)
		}, after: time.Second},
	}
}

func deploymentDrills() map[string]drill {
	const strategies = "testdata/strategies.yaml"
	inProgress := ecstypes.DeploymentRolloutStateInProgress
	succeeds := drill{then: roll, sees: func(w *patient) bool {
		r := w.records()[0]
		return r.Status == ecstypes.ServiceDeploymentStatusSuccessful && len(w.records()) == 2 && (r.Alarms == nil || len(r.Alarms.TriggeredAlarmNames) == 0)
	}}
	status := func(s ecstypes.ServiceDeploymentStatus, reason string) func(*patient) bool {
		return func(w *patient) bool {
			r := w.records()[0]
			return r.Status == s && strings.Contains(aws.ToString(r.StatusReason), reason)
		}
	}
	return map[string]drill{
		"C16": stalls(roll, func(w *patient) error {
			return need(w.said("was unable to stop or start tasks during a deployment") && w.service().Deployments[0].RunningCount == 0, "no such event")
		}),
		"C17": tells(roll, "tasks under protection"),
		"C18": {then: roll, after: 50 * time.Minute, tell: func(w *patient) error {
			return need(w.anyTask(func(t ecstypes.Task) bool { return aws.ToString(t.LastStatus) == "DEACTIVATING" }) && w.service().Deployments[0].RunningCount == 2, "nothing drains")
		}},
		"C19": {then: roll, after: time.Minute, tell: func(w *patient) error {
			s := w.service()
			return need(completed(s) && s.RunningCount == 0, "%s with %d tasks", s.Deployments[0].RolloutState, s.RunningCount)
		}},
		"C20": tells(replace, "is unable to consistently start tasks successfully"),
		"C21": stalls(roll, func(w *patient) error {
			n := w.service().Deployments[0].FailedTasks
			return need(n == 2, "failedTasks is %d", n)
		}),
		"C22": stalls(roll, func(w *patient) error {
			return need(w.service().Deployments[0].FailedTasks > 2, "failedTasks is %d", w.service().Deployments[0].FailedTasks)
		}),
		"C23": {then: roll, sees: func(w *patient) bool {
			d := w.service().Deployments
			return len(d) == 2 && d[0].RolloutState == ecstypes.DeploymentRolloutStateFailed && *d[1].Status == "ACTIVE" && *d[1].Id == w.notes["primary"]
		}},
		"C24": {fresh: true, sees: status(ecstypes.ServiceDeploymentStatusRollbackFailed, "No rollback candidate was found")},
		"C25": {then: roll, after: 2 * time.Hour, tell: func(w *patient) error {
			p, r := w.service().Deployments[0], w.records()[0]
			return need(*p.Id == w.notes["primary"] && p.RolloutState != ecstypes.DeploymentRolloutStateCompleted && p.FailedTasks > 0 &&
				(r.Status == ecstypes.ServiceDeploymentStatusRollbackInProgress || r.Status == ecstypes.ServiceDeploymentStatusRollbackFailed), "%s, %s", p.RolloutState, r.Status)
		}},
		"C26": {then: func(w *patient) {
			roll(w)
			until(w.T, "rolling back", time.Hour, func() bool { return *w.service().Deployments[0].Id == w.notes["primary"] })
			roll(w)
		}, sees: status(ecstypes.ServiceDeploymentStatusRollbackFailed, "No rollback candidate was found")},
		"C27": {then: roll, sees: func(w *patient) bool {
			return *w.service().Deployments[0].Id == w.notes["primary"] && completed(w.service()) && w.records()[0].Status == ecstypes.ServiceDeploymentStatusRollbackSuccessful
		}},
		"C28": {first: func(w *patient) { roll(w); time.Sleep(15 * time.Second) }, sees: func(w *patient) bool {
			r := w.records()[0]
			return r.Status == ecstypes.ServiceDeploymentStatusRollbackSuccessful && r.Alarms != nil && len(r.Alarms.TriggeredAlarmNames) == 1
		}},
		"C29": succeeds, "C30": {then: roll, sees: func(w *patient) bool {
			out := ok(w.T, cloudwatch.NewFromConfig(w.account.AWSConfig()).DescribeAlarms, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"orders-dev-5xx"}})
			return out.MetricAlarms[0].StateValue == "INSUFFICIENT_DATA" && succeeds.sees(w)
		}},
		"C31": {base: strategies, fresh: true, sees: func(w *patient) bool {
			r := w.records()[0]
			return w.said("returned FAILED status") && r.Status == ecstypes.ServiceDeploymentStatusRollbackFailed
		}},
		"C32": {base: strategies, fresh: true, sees: func(w *patient) bool {
			r := w.records()[0]
			return len(r.LifecycleHookDetails) == 1 && r.LifecycleHookDetails[0].Status == ecstypes.DeploymentLifecycleHookStatusAwaitingAction && w.service().Deployments[0].RolloutState == inProgress
		}},
		"C33": {base: strategies, then: func(w *patient) {
			balancers := service(w.T, w.account).LoadBalancers
			w.update(func(in *ecs.UpdateServiceInput) { in.LoadBalancers = balancers })
		}, tell: func(w *patient) error {
			_, is := errors.AsType[*ecstypes.InvalidParameterException](w.err)
			return need(is && strings.Contains(w.err.Error(), "does not have an associated load balancer"), "%v", w.err)
		}},
	}
}

func actorDrills() map[string]drill {
	return map[string]drill{
		"D1": {first: func(w *patient) {
			roll(w)
			time.Sleep(15 * time.Second)
			w.notes["own"] = *w.service().Deployments[0].Id
		}, sees: func(w *patient) bool {
			r := w.records()
			return *w.service().Deployments[0].Id != w.notes["own"] && len(r) == 3 && r[1].Status == ecstypes.ServiceDeploymentStatusStopped
		}},
		"D2": {then: func(w *patient) { roll(w); w.notes["own"] = *w.service().Deployments[0].Id }, sees: func(w *patient) bool {
			p := w.service().Deployments[0]
			return *p.Id != w.notes["own"] && *p.TaskDefinition != w.notes["revision"]
		}},
		"D3": {tell: func(w *patient) error {
			return need(w.service().DesiredCount == 3 && len(w.records()) == 1, "count %d, %d deployments", w.service().DesiredCount, len(w.records()))
		}},
		"D4": {sees: func(w *patient) bool {
			return w.anyTask(func(t ecstypes.Task) bool {
				return t.StopCode == ecstypes.TaskStopCodeUserInitiated && *t.StoppedReason == "Task stopped by user"
			})
		}},
		"D5": {first: func(w *patient) {
			spot := []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}}
			ok(w.T, w.ecs.PutClusterCapacityProviders, &ecs.PutClusterCapacityProvidersInput{Cluster: aws.String("orders-dev"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: spot})
			w.update(func(in *ecs.UpdateServiceInput) { in.CapacityProviderStrategy, in.ForceNewDeployment = spot, true })
			until(w.T, "tasks on Spot", time.Hour, func() bool { return len(w.records()) == 2 && completed(w.service()) })
		}, sees: func(w *patient) bool {
			return w.anyTask(func(t ecstypes.Task) bool { return t.StopCode == ecstypes.TaskStopCodeSpotInterruption })
		}},
		"D6": {sees: func(w *patient) bool {
			return w.anyTask(func(t ecstypes.Task) bool { return strings.Contains(aws.ToString(t.StoppedReason), "maintenance") })
		}},
		"D7": tells(nil, "to AZ Rebalance"),
		"D8": {then: replace, sees: func(w *patient) bool {
			return w.anyTask(func(t ecstypes.Task) bool {
				return t.StartedAt != nil && t.StoppingAt != nil && strings.Contains(aws.ToString(t.StoppedReason), "Task failed ELB health checks") && t.StoppingAt.Sub(*t.StartedAt) > 2*time.Minute
			})
		}},
		"D9": {sees: func(w *patient) bool {
			out := ok(w.T, w.ecs.DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String("orders-dev"), Services: []string{"orders"}})
			return len(out.Failures) == 1 && *out.Failures[0].Reason == "MISSING"
		}},
		"D10": refused(func(w *patient) {
			_, w.err = w.ecs.ListServices(w.Context(), &ecs.ListServicesInput{Cluster: aws.String("orders-dev")})
		}, "ClusterNotFoundException", ""),
		"D20": {then: migrates, tell: func(w *patient) error {
			list := ok(w.T, w.ecs.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("orders-dev"), StartedBy: aws.String("drill")})
			lost := w.err
			if migrates(w); len(list.TaskArns) != 1 || w.err != nil || w.notes["task"] != list.TaskArns[0] {
				return fmt.Errorf("%v; %v runs, then %v %s", lost, list.TaskArns, w.err, w.notes["task"])
			}
			return need(lost != nil, "the answer came")
		}},
		"D21": {first: func(w *patient) {
			migrates(w)
			until(w.T, "migration", time.Hour, func() bool { return aws.ToString(w.task().LastStatus) == "STOPPED" })
		}, tell: func(w *patient) error {
			return need(w.task().TaskArn == nil, "the task is still there")
		}},
		"D22": {first: func(w *patient) { w.notes["command"] = "serve" }, then: migrates, sees: func(w *patient) bool {
			t := w.task()
			return t.StopCode == ecstypes.TaskStopCodeEssentialContainerExited && t.Containers[1].ExitCode != nil && aws.ToString(t.LastStatus) == "STOPPED"
		}},
		"D23": {then: migrates, after: time.Hour, tell: func(w *patient) error {
			return need(aws.ToString(w.task().LastStatus) == "RUNNING", "%s", aws.ToString(w.task().LastStatus))
		}},
		"D25": stopped("AccessDeniedException"),
		"D26": {tell: func(w *patient) error {
			td := service(w.T, w.account).TaskDefinition
			w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = td })
			return need(w.err != nil && strings.Contains(w.err.Error(), "TaskDefinition is inactive") && w.service().RunningCount == 2, "%v", w.err)
		}},
		"D28": {first: func(w *patient) { w.notes["tasks"] = fmt.Sprint(len(w.tasks())) }, after: time.Hour, tell: func(w *patient) error {
			v := ok(w.T, secretsmanager.NewFromConfig(w.account.AWSConfig()).GetSecretValue, &secretsmanager.GetSecretValueInput{SecretId: aws.String("orders-dev/db")})
			return need(strings.Contains(*v.SecretString, "-rotated") && fmt.Sprint(len(w.tasks())) == w.notes["tasks"], "%s, %d tasks", *v.SecretString, len(w.tasks()))
		}},
	}
}

func controlPlaneDrills() map[string]drill {
	return map[string]drill{
		"D11": {then: roll, tell: func(w *patient) error {
			return need(*w.service().TaskDefinition != w.notes["revision"], "the read is fresh")
		}},
		"D12": {then: roll, tell: func(w *patient) error { return need(len(w.records()) == 1, "%d records", len(w.records())) }},
		"D13": {then: func(w *patient) {
			w.notes["queue"] = *listen(w.T, w.account, `{"source":["aws.ecs"],"detail-type":["ECS Task State Change"]}`)
			roll(w)
		}, after: 10 * time.Minute, tell: func(w *patient) error {
			newest, back := map[string]int{}, 0
			for _, e := range heard(w.T, w.account, aws.String(w.notes["queue"])) {
				if e.Detail.Version < newest[e.Detail.TaskArn] {
					back++
				}
				newest[e.Detail.TaskArn] = max(newest[e.Detail.TaskArn], e.Detail.Version)
			}
			return need(back > 2, "%d versions are older than one before them, which ordinary delivery has too", back)
		}},
		"D14": {tell: redelivered},
		"D15": refused(func(w *patient) {
			_, w.err = w.ecs.ListServices(w.Context(), &ecs.ListServicesInput{Cluster: aws.String("orders-dev")})
		}, "InvalidParameterException", "Invalid token."),
		"D16": refused(forced, "ThrottlingException", "Rate exceeded"),
		"D17": tells(roll, "operations are being throttled on elb. Will try again later."),
		"D18": {tell: func(w *patient) error {
			cfg := w.account.AWSConfig()
			cfg.RetryMaxAttempts = 1
			_, once := sts.NewFromConfig(cfg).GetCallerIdentity(w.Context(), &sts.GetCallerIdentityInput{})
			api, is := errors.AsType[smithy.APIError](once)
			_, corrected := sts.NewFromConfig(w.account.AWSConfig()).GetCallerIdentity(w.Context(), &sts.GetCallerIdentityInput{})
			return need(is && api.ErrorCode() == "InvalidSignatureException" && corrected == nil, "once: %v; with retries: %v", once, corrected)
		}},
		"D19": {then: replace, sees: func(w *patient) bool {
			return completed(w.service()) && w.anyTask(func(t ecstypes.Task) bool {
				return aws.ToString(t.LastStatus) == "RUNNING" && len(t.Containers) == 2 && strings.HasPrefix(*t.Containers[1].Name, "aws-guardduty-agent")
			})
		}},
		"D24": refused(func(w *patient) {
			cfg := w.account.AWSConfig()
			_, w.err = cloudwatchlogs.NewFromConfig(cfg).FilterLogEvents(w.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/ecs/orders-dev")})
		}, "ResourceNotFoundException", "log group"),
		"D27": {tell: func(w *patient) error {
			out := ok(w.T, w.ecs.DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String("orders-dev"), Services: []string{"orders"}})
			return need(len(out.Services) == 0 && len(out.Failures) == 1 && *out.Failures[0].Reason == "MISSING", "%+v", out)
		}},
	}
}

// redelivered: a message that cannot be deleted comes again and says how often.
func redelivered(w *patient) error {
	cfg := w.account.AWSConfig()
	cfg.RetryMaxAttempts = 1
	client := sqs.NewFromConfig(cfg)
	url := ok(w.T, client.CreateQueue, &sqs.CreateQueueInput{QueueName: aws.String("work")}).QueueUrl
	ok(w.T, client.SendMessage, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("poison")})
	seen := 0
	for range 3 {
		for _, m := range ok(w.T, client.ReceiveMessage, &sqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"ApproximateReceiveCount"}}).Messages {
			seen, _ = strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
			if _, err := client.DeleteMessage(w.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err == nil {
				return errors.New("the message was deleted")
			}
		}
		time.Sleep(time.Minute)
	}
	return need(seen == 3, "received %d times", seen)
}
