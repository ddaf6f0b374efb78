package sim

import (
	"cmp"
	"context"
	"time"

	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// troubleFault lasts until it is removed; its target, cluster/service, may be left out: then it is about everything.
func troubleFault(symptom string, t ecs.Trouble) fault {
	return fault{symptom: symptom, do: func(_ context.Context, a *Account, f NamedFault) (undo, error) {
		t.Service, t.Times = f.Target, f.Times
		if f.By > 0 {
			t.After = time.Duration(f.By)
		}
		stop := a.ECS.AddTrouble(t)
		return func() error { stop(); return nil }, nil
	}}
}

func startFault(in, reason string, after time.Duration) fault {
	return troubleFault(reason, ecs.Trouble{FailIn: in, Reason: reason, After: after})
}

// taskFaults keep tasks of the service Target, or all tasks, from starting, and put things into them.
func taskFaults() map[string]fault {
	const (
		initialization = "ResourceInitializationError: "
		secrets        = initialization + "unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: "
		assume         = "ECS was unable to assume the role '${role}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."
		connect        = "ecs-service-connect-a1b2c"
	)
	role := startFault("PROVISIONING", assume, 0)
	role.do = troubleFault("", ecs.Trouble{FailIn: "PROVISIONING", Reason: assume, Event: "failed to launch a task with (error " + assume + ")."}).do
	return map[string]fault{
		"secret-key-missing":         startFault("PENDING", secrets+"retrieved secret from Secrets Manager did not contain json key ${key}", 0),
		"secret-denied":              startFault("PENDING", secrets+"AccessDeniedException: User: ${role} is not authorized to perform: secretsmanager:GetSecretValue on resource: ${secret}", 0),
		"efs-mount-failed":           startFault("PENDING", initialization+"failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: Connection timed out'", time.Minute),
		"network-timeout":            startFault("PROVISIONING", "Timeout waiting for network interface provisioning to complete.", 3*time.Minute),
		"subnet-full":                startFault("PROVISIONING", "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet '${subnet}': InsufficientFreeAddressesInSubnet", 0),
		"volume-failed":              startFault("PROVISIONING", "Timeout waiting for EphemeralStorage provisioning to complete.", 3*time.Minute),
		"dependency-failed":          startFault("ACTIVATING", "TaskFailedToStart: a container that others depend on did not reach its condition within startTimeout", 2*time.Minute),
		"service-connect-fails":      troubleFault("the container `"+connect+"` is the culprit", ecs.Trouble{FailIn: "ACTIVATING", After: time.Minute, Culprit: connect, Reason: "Timeout waiting for the Service Connect agent " + connect + " to become healthy"}),
		"execution-role-unassumable": role,
		"stuck-pending":              troubleFault("PENDING, pullStartedAt set, pullStoppedAt not", ecs.Trouble{Stuck: true}),
		"sidecar-injected":           troubleFault("a container `aws-guardduty-agent-a1b2c` that no task definition has", ecs.Trouble{Sidecar: "aws-guardduty-agent-a1b2c"}),
		"no-instance": troubleFault("unable to place a task because no container instance met all of its requirements; RunTask fails with RESOURCE:CPU",
			ecs.Trouble{NoInstance: "The closest matching (container-instance 0123456789abcdef) has insufficient CPU units available.", Missing: "RESOURCE:CPU"}),
		"agent-disconnected": troubleFault(`… encountered error "AGENT"; RunTask fails with AGENT`,
			ecs.Trouble{NoInstance: `The closest matching (container-instance 0123456789abcdef) encountered error "AGENT".`, Missing: "AGENT"}),
		"capacity-unavailable": placementFault("Capacity is unavailable at this time. Please try again later or in a different availability zone."),
		"vcpu-quota":           placementFault("You've reached the limit on the number of vCPUs you can run concurrently"),
		"breaker-stalls": doubtFault("after the second failed pull nothing is tried again, and the breaker never fires", func(d *ecs.Doubts, _ time.Duration) {
			d.BreakerStallOnBadImage = 1
		}),
	}
}

// serviceFaults change what the scheduler does, and what ECS shows of it.
func serviceFaults() map[string]fault {
	alarm := func(symptom string, state cwtypes.StateValue) fault {
		return fault{symptom: symptom, do: func(ctx context.Context, a *Account, f NamedFault) (undo, error) { return setAlarm(ctx, a, f, state) }}
	}
	return map[string]fault{
		"alarm-red":           alarm("the alarm is in ALARM", cwtypes.StateValueAlarm),
		"alarm-no-data":       alarm("the alarm is in INSUFFICIENT_DATA", cwtypes.StateValueInsufficientData),
		"scheduler-throttled": troubleFault("operations are being throttled on elb. Will try again later.; nothing moves", ecs.Trouble{Throttled: "elb"}),
		"controller-code-deploy": troubleFault("InvalidParameterException Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.",
			ecs.Trouble{Controller: ecstypes.DeploymentControllerTypeCodeDeploy}),
		"controller-external": troubleFault("InvalidParameterException Unable to update task definition on services with a EXTERNAL deployment controller.",
			ecs.Trouble{Controller: ecstypes.DeploymentControllerTypeExternal}),
		"reads-stale": doubtFault("DescribeServices shows what was before UpdateService for up to `by`, 30 s unless given", func(d *ecs.Doubts, by time.Duration) {
			d.StaleReadMax = cmp.Or(by, 30*time.Second)
		}),
		"records-late": doubtFault("a service deployment is listed up to `by` late, 15 s unless given", func(d *ecs.Doubts, by time.Duration) {
			d.SDRecordLagMax = cmp.Or(by, 15*time.Second)
		}),
		"stopped-tasks-forgotten": {symptom: "DescribeTasks: MISSING, as an hour after STOPPED", lasting: true, do: func(_ context.Context, a *Account, _ NamedFault) (undo, error) {
			a.ECS.ForgetStopped()
			return func() error { return nil }, nil
		}},
	}
}

func doubtFault(symptom string, change func(d *ecs.Doubts, by time.Duration)) fault {
	return fault{symptom: symptom, do: func(_ context.Context, a *Account, f NamedFault) (undo, error) {
		stop := a.ECS.Doubt(func(d *ecs.Doubts) { change(d, time.Duration(f.By)) })
		return func() error { stop(); return nil }, nil
	}}
}

// placementFault is about every task of the account, or those of the availability zone Target.
func placementFault(reason string) fault {
	return fault{symptom: reason, do: func(_ context.Context, a *Account, f NamedFault) (undo, error) {
		if f.Target != "" {
			a.ECS.RefuseZone(f.Target, true)
			return func() error { a.ECS.RefuseZone(f.Target, false); return nil }, nil
		}
		a.ECS.RefusePlacement(reason)
		return func() error { a.ECS.RefusePlacement(""); return nil }, nil
	}}
}
