package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

var errNoService = errors.New("target: must be cluster/service")

func nothing() error { return nil }

// actorFaults are what people, other programs and AWS itself do to the service Target, cluster/service, or to
// another thing where the symptom says so.
func actorFaults() map[string]fault {
	return map[string]fault{
		"tasks-stopped":         {symptom: "Task stopped by user (UserInitiated)", lasting: true, do: tasksStopped},
		"foreign-deployment":    {symptom: "PRIMARY is another deployment; the one before is STOPPED", lasting: true, do: foreignDeployment},
		"two-controllers":       {symptom: "PRIMARY alternates: every `by`, 1 min unless given, the present revision is put back", do: twoControllers},
		"count-changed":         {symptom: "desiredCount is one more", do: countChanged},
		"spot-interruption":     {symptom: "SpotInterruption Your Spot Task was interrupted.", lasting: true, do: spotInterruption},
		"fargate-retirement":    {symptom: "tasks are stopped for maintenance, those of RunTask too", lasting: true, do: fargateRetirement},
		"zone-lost":             {symptom: "tasks of the zone `target` end, and it takes no new ones", do: zoneLost},
		"zone-away":             {symptom: "as zone-lost for `by`, 10 min unless given; then has started 1 tasks in … to AZ Rebalance", do: zoneAway},
		"service-deleted":       {symptom: "DRAINING, INACTIVE, then MISSING", lasting: true, do: serviceDeleted},
		"tasks-protected":       {symptom: "unable to scale in due to (reason … tasks under protection)", do: tasksProtected},
		"revision-deregistered": {symptom: "INACTIVE; ClientException TaskDefinition is inactive; `target: family:revision`", lasting: true, do: revisionDeregistered},
		"secret-rotated":        {symptom: "the secret `target` has a new value, which running tasks do not see", do: secretRotated},
		"clock-skew": {symptom: "the account's clock is ahead by `by`, 1 h unless given: Date, InvalidSignatureException Signature expired", do: func(_ context.Context, a *Account, f NamedFault) (undo, error) {
			a.mux.SetSkew(cmp.Or(time.Duration(f.By), time.Hour))
			return func() error { a.mux.SetSkew(0); return nil }, nil
		}},
	}
}

// named is the one service that a fault is about.
func named(ctx context.Context, a *Account, f NamedFault) (cluster string, s ecstypes.Service, err error) {
	cluster, service, ok := strings.Cut(f.Target, "/")
	if !ok {
		return "", s, errNoService
	}
	out, err := a.ECS.DescribeServices(ctx, &awsecs.DescribeServicesInput{Cluster: &cluster, Services: []string{service}})
	if err != nil {
		return "", s, err
	}
	if len(out.Services) == 0 {
		return "", s, &ecstypes.ServiceNotFoundException{Message: aws.String("Service not found.")}
	}
	return cluster, out.Services[0], nil
}

// eachTask does something to every task of the service that is meant to run, in the zone unless that is "".
func eachTask(ctx context.Context, a *Account, cluster, service, zone string, do func(task string) error) error {
	in := &awsecs.ListTasksInput{Cluster: &cluster}
	if service != "" {
		in.ServiceName = &service
	}
	out, err := a.ECS.ListTasks(ctx, in)
	if err != nil || len(out.TaskArns) == 0 {
		return err
	}
	tasks, err := a.ECS.DescribeTasks(ctx, &awsecs.DescribeTasksInput{Cluster: &cluster, Tasks: out.TaskArns})
	if err != nil {
		return err
	}
	for _, t := range tasks.Tasks {
		if zone == "" || aws.ToString(t.AvailabilityZone) == zone {
			if err := do(*t.TaskArn); err != nil {
				return err
			}
		}
	}
	return nil
}

func tasksStopped(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, service, ok := strings.Cut(f.Target, "/")
	if !ok {
		return nil, errNoService
	}
	return nothing, eachTask(ctx, a, cluster, service, "", func(task string) error {
		_, err := a.ECS.StopTask(ctx, &awsecs.StopTaskInput{Cluster: &cluster, Task: &task, Reason: aws.String("Task stopped by user")})
		return err
	})
}

func foreignDeployment(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, s, err := named(ctx, a, f)
	if err != nil {
		return nil, err
	}
	_, err = a.ECS.UpdateService(ctx, &awsecs.UpdateServiceInput{Cluster: &cluster, Service: s.ServiceName, ForceNewDeployment: true})
	return nothing, err
}

func twoControllers(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, s, err := named(ctx, a, f)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var timer *time.Timer
	stopped, every := false, cmp.Or(time.Duration(f.By), time.Minute)
	ctx = context.WithoutCancel(ctx)
	var again func()
	again = func() {
		// A refusal is what any other controller would get too: it goes on.
		_, _ = a.ECS.UpdateService(ctx, &awsecs.UpdateServiceInput{Cluster: &cluster, Service: s.ServiceName, TaskDefinition: s.TaskDefinition})
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			timer = time.AfterFunc(every, again)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(every, again) // no goroutine that would have to be ended with the account
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
		return nil
	}, nil
}

func countChanged(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, s, err := named(ctx, a, f)
	if err != nil {
		return nil, err
	}
	set := func(n int32) error {
		_, err := a.ECS.UpdateService(context.WithoutCancel(ctx), &awsecs.UpdateServiceInput{Cluster: &cluster, Service: s.ServiceName, DesiredCount: &n})
		return err
	}
	return func() error { return set(s.DesiredCount) }, set(s.DesiredCount + 1)
}

func spotInterruption(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, s, err := named(ctx, a, f)
	if err != nil {
		return nil, err
	}
	return nothing, eachTask(ctx, a, cluster, *s.ServiceName, "", a.ECS.InterruptSpot)
}

func fargateRetirement(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, service, _ := strings.Cut(f.Target, "/")
	return nothing, eachTask(ctx, a, cluster, service, "", a.ECS.Retire)
}

func zoneLost(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	clusters, err := a.ECS.ListClusters(ctx, &awsecs.ListClustersInput{})
	if err != nil {
		return nil, err
	}
	a.ECS.RefuseZone(f.Target, true)
	for _, cluster := range clusters.ClusterArns {
		if err := eachTask(ctx, a, cluster, "", f.Target, func(task string) error {
			return a.ECS.Interrupt(task, ecstypes.TaskStopCodeTerminationNotice, "The infrastructure that the task ran on is gone.")
		}); err != nil {
			return nil, err
		}
	}
	return func() error { a.ECS.RefuseZone(f.Target, false); return nil }, nil
}

func zoneAway(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	back, err := zoneLost(ctx, a, f)
	if err != nil {
		return nil, err
	}
	timer := time.AfterFunc(cmp.Or(time.Duration(f.By), 10*time.Minute), func() { _ = back() })
	return func() error { timer.Stop(); return back() }, nil
}

func serviceDeleted(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, s, err := named(ctx, a, f)
	if err != nil {
		return nil, err
	}
	_, err = a.ECS.DeleteService(ctx, &awsecs.DeleteServiceInput{Cluster: &cluster, Service: s.ServiceName, Force: aws.Bool(true)})
	return nothing, err
}

func tasksProtected(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	cluster, service, ok := strings.Cut(f.Target, "/")
	if !ok {
		return nil, errNoService
	}
	protect := func(on bool) error {
		ctx := context.WithoutCancel(ctx)
		return eachTask(ctx, a, cluster, service, "", func(task string) error {
			_, err := a.ECS.UpdateTaskProtection(ctx, &awsecs.UpdateTaskProtectionInput{Cluster: &cluster, Tasks: []string{task}, ProtectionEnabled: on})
			return err
		})
	}
	return func() error { return protect(false) }, protect(true)
}

func revisionDeregistered(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	_, err := a.ECS.DeregisterTaskDefinition(ctx, &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &f.Target})
	return nothing, err
}

func secretRotated(ctx context.Context, a *Account, f NamedFault) (undo, error) {
	old, err := a.Secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &f.Target})
	if err != nil {
		return nil, err
	}
	put := func(value *string) error {
		_, err := a.Secrets.PutSecretValue(context.WithoutCancel(ctx), &secretsmanager.PutSecretValueInput{SecretId: &f.Target, SecretString: value})
		return err
	}
	rotated := rotate(aws.ToString(old.SecretString))
	return func() error { return put(old.SecretString) }, put(&rotated)
}

// rotate is another value of the same form: a JSON object keeps its keys.
func rotate(value string) string {
	const tail = "-rotated"
	var members map[string]string
	if json.Unmarshal([]byte(value), &members) != nil {
		return value + tail
	}
	for k := range members {
		members[k] += tail
	}
	out, _ := json.Marshal(members) // strings only
	return string(out)
}
