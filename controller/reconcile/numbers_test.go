package reconcile_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/strategy"
)

// twentySeconds is an account in which a rollout of two tasks behind a load balancer takes about 20 s.
func twentySeconds() ecs.Timing {
	t := ecs.DefaultTiming()
	t.Tick = ecs.Range{Min: 2 * time.Second, Max: 2 * time.Second}
	t.Provision = ecs.Range{Min: 4 * time.Second, Max: 4 * time.Second}
	t.Pull = ecs.Range{Min: 3 * time.Second, Max: 3 * time.Second}
	t.Activate = ecs.Range{Min: time.Second, Max: time.Second}
	t.Deprovision = ecs.Range{Min: 2 * time.Second, Max: 2 * time.Second}
	return t
}

const environmentYAML = `apiVersion: deploy/v1
kind: Environment
metadata: {name: dev}
spec: {account: "000000000000", region: eu-central-1}
`

func serviceYAML(name, tag string) string {
	return fmt.Sprintf(`apiVersion: deploy/v1
kind: Service
metadata: {name: %[1]s}
spec:
  stack: %[1]s
  containers: {app: {image: {tag: "%[2]s"}}}
  verify: {bake: 10s, targets: {}, logs: {forbid: [panic]}, alarms: {revertOn: [%[1]s-5xx]}}
`, name, tag)
}

// seedYAML is an account with so many services in one cluster, each with its own stack, template and load balancer.
func seedYAML(services int) string {
	var repos, groups, balancers, alarms, stacks, tds, svcs, logs strings.Builder
	for i := range services {
		n := name(i)
		fmt.Fprintf(&repos, "  - name: %s\n    immutable: true\n    images:\n      - {tag: \"1aaaaaa\", script: {}}\n      - {tag: \"2bbbbbb\", script: {}}\n      - {tag: \"3cccccc\", script: {exit: {after: 0s, code: 1}}}\n", n)
		fmt.Fprintf(&groups, "  - {name: %s, port: 8080, interval: 5s, timeout: 2s, deregistrationDelay: 2s}\n", n)
		fmt.Fprintf(&balancers, "  - {name: %s, listeners: [{port: 80, targetGroup: %s}]}\n", n, n)
		fmt.Fprintf(&alarms, "  - {name: %s-5xx}\n", n)
		fmt.Fprintf(&logs, "  - /ecs/%s\n", n)
		fmt.Fprintf(&stacks, "  - name: %[1]s\n    outputs: {RepoUri: \"${repository:%[1]s}\", ClusterName: main, ServiceName: %[1]s, AppSubnetIds: subnet-0a, EcsSecurityGroupId: sg-0a, TaskTemplate: %[1]s-template}\n", n)
		fmt.Fprintf(&tds, `  - family: %[1]s-template
    requiresCompatibilities: [FARGATE]
    networkMode: awsvpc
    cpu: "256"
    memory: "512"
    executionRoleArn: arn:aws:iam::${account}:role/x
    containerDefinitions:
      - name: app
        image: "${repository:%[1]s}:1aaaaaa"
        essential: true
        portMappings: [{containerPort: 8080}]
        logConfiguration: {logDriver: awslogs, options: {awslogs-group: /ecs/%[1]s, awslogs-region: "${region}", awslogs-stream-prefix: x}}
`, n)
		fmt.Fprintf(&svcs, `  - cluster: main
    serviceName: %[1]s
    taskDefinition: %[1]s-template
    desiredCount: 2
    launchType: FARGATE
    networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a], securityGroups: [sg-0a]}}
    loadBalancers: [{targetGroupArn: "${targetGroup:%[1]s}", containerName: app, containerPort: 8080}]
`, n)
	}
	return "clusters: [main]\nlogGroups:\n" + logs.String() + "repositories:\n" + repos.String() + "targetGroups:\n" + groups.String() + "loadBalancers:\n" + balancers.String() +
		"alarms:\n" + alarms.String() + "stacks:\n" + stacks.String() + "taskDefinitions:\n" + tds.String() + "services:\n" + svcs.String()
}

func name(i int) string { return fmt.Sprintf("svc-%04d", i) }

// bench is an account and a reconciler on it.
type bench struct {
	tb     testing.TB
	sim    *sim.Account
	ledger *ledger.File
	asked  *reconcile.Asked
	queue  *queue.Queue
	r      *reconcile.Reconciler
	ended  []rollout.Entry
	acts   []moment
	next   time.Time // pass
}

type moment struct {
	at     time.Time
	action rollout.Action
}

// Passed implements reconcile.Teller.
func (b *bench) Passed(p reconcile.Pass) {
	if p.Action != nil {
		b.acts = append(b.acts, moment{time.Now(), p.Action})
	}
}

// Ended implements reconcile.Teller.
func (b *bench) Ended(e rollout.Entry) { b.ended = append(b.ended, e) }

func newBench(tb testing.TB, services int, timing ecs.Timing) *bench {
	tb.Helper()
	a, err := sim.New(sim.Config{Seed: 1, Timing: timing, Unthrottled: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = a.Close() })
	seed, err := sim.ReadSeed([]byte(seedYAML(services)), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	if err := a.Plant(context.Background(), seed); err != nil {
		tb.Fatal(err)
	}
	file, err := ledger.Open(filepath.Join(tb.TempDir(), "ledger.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = file.Close() })
	b := &bench{tb: tb, sim: a, ledger: file, asked: reconcile.NewAsked(), queue: queue.New()}
	clients := client.New(a.AWSConfig(), client.Options{BurstShare: 1e6, RefillShare: 1e6, Jitter: func() float64 { return 0 }})
	b.r = &reconcile.Reconciler{
		Account: account.New(clients, account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion}), Ledger: file, Asked: b.asked,
		Fleet: reconcile.NewFleet(), Teller: b, Pace: rollout.Pace{Watch: 4 * time.Second, Idle: time.Minute}, Log: zap.NewNop(),
	}
	return b
}

// forget puts an adapter in place that asks for every look, with nothing else changed.
func (b *bench) forget() {
	clients := client.New(b.sim.AWSConfig(), client.Options{BurstShare: 1e6, RefillShare: 1e6, Jitter: func() float64 { return 0 }})
	b.r.Account = account.New(clients, account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion, ServiceAge: time.Nanosecond})
}

// ask commits one tag for every service.
func (b *bench) ask(services int, tag string) {
	b.tb.Helper()
	tree := fstest.MapFS{"environment.yaml": {Data: []byte(environmentYAML)}}
	for i := range services {
		tree[name(i)+".yaml"] = &fstest.MapFile{Data: []byte(serviceYAML(name(i), tag))}
	}
	s := desired.Load(tree, desired.Kinds{Checks: health.Kinds(), Strategies: strategy.Kinds()})
	if len(s.Errors) > 0 {
		b.tb.Fatal(s.Errors)
	}
	s.Commit = desired.Commit{SHA: strings.Repeat(tag[:1], 40)}
	for _, changed := range b.asked.Take(s) {
		b.queue.WakeAt(changed, time.Now())
	}
}

// until runs passes until the condition holds.
func (b *bench) until(ctx context.Context, what string, holds func() bool) {
	b.tb.Helper()
	for end := time.Now().Add(time.Hour); !holds(); {
		if time.Now().After(end) {
			b.tb.Fatalf("%s: not within an hour; ended: %+v", what, b.ended)
		}
		key, err := b.queue.Get(ctx)
		if err != nil {
			b.tb.Fatal(err)
		}
		next, err := b.r.Reconcile(ctx, key)
		if err != nil {
			b.tb.Log(err)
		}
		b.next = next
		b.queue.WakeAt(key, next)
		b.queue.Done(key)
	}
}

func (b *bench) settled() bool {
	rec, err := b.ledger.Load(context.Background(), name(0))
	return err == nil && rec.Rollout == nil && (rec.State == rollout.StateSettled || rec.State == rollout.StateReverted)
}

// quiet runs passes until nothing is left to be written.
func (b *bench) quiet(ctx context.Context) {
	b.tb.Helper()
	end := time.Now().Add(10 * time.Second)
	b.until(ctx, "quiet", func() bool { return !time.Now().Before(end) || b.queue.Stats().Oldest.IsZero() && b.idle() })
}

// idle reports whether the next look at the service is an idle one.
func (b *bench) idle() bool { return b.next.Sub(time.Now()) > b.r.Pace.Watch }

// The numbers that the controller promises, in virtual time, so that they are the same on every machine.
func TestNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, twentySeconds())
		<-time.After(5 * time.Minute) // the service's own first deployment
		b.ask(1, "1aaaaaa")
		b.until(t.Context(), "first version", func() bool { return len(b.ended) == 1 && b.settled() })

		b.quiet(t.Context())
		b.sim.Calls.Reset()
		start := time.Now()
		b.ask(1, "2bbbbbb")
		b.until(t.Context(), "good version", func() bool { return len(b.ended) == 2 && b.settled() })
		verdict := b.ended[1]
		if verdict.Result != rollout.ResultSucceeded {
			t.Fatalf("ended %+v", verdict)
		}
		b.quiet(t.Context())
		complete := completedAt(t, b)
		bake := complete.Add(10 * time.Second)
		calls := rolloutCalls(b)
		t.Logf("rollout took %s, complete after %s; verdict %s after the bake's end; %d ECS and ELB calls: %v",
			verdict.EndedAt.Sub(start), complete.Sub(start), verdict.EndedAt.Sub(bake), calls, b.sim.Calls.Counts())
		if late := verdict.EndedAt.Sub(bake); late > 2*time.Second {
			t.Errorf("verdict %s after the bake's end, want at most 2s", late)
		}
		if calls > 20 {
			t.Errorf("%d calls to ECS and ELB, want at most 20", calls)
		}

		b.sim.Calls.Reset()
		b.ask(1, "3cccccc")
		b.until(t.Context(), "crash", func() bool { return len(b.ended) == 4 && b.settled() })
		died, reverted := secondDeath(t, b), lastRoll(b)
		t.Logf("second crash → revert: %s; until it served again %s", reverted.Sub(died), b.ended[3].EndedAt.Sub(reverted))
		if late := reverted.Sub(died); late > 5*time.Second {
			t.Errorf("revert %s after the second crash, want at most 5s", late)
		}

		b.sim.Calls.Reset()
		end := time.Now().Add(time.Hour)
		b.until(t.Context(), "an idle hour", func() bool { return time.Now().After(end) })
		t.Logf("an idle hour: %v", b.sim.Calls.Counts())
		for call, n := range b.sim.Calls.Counts() {
			if isWrite(call) {
				t.Errorf("%d × %s in an idle hour, want no write", n, call)
			}
		}
		if n := b.sim.Calls.Count("ecs", "DescribeServices"); n > 62 {
			t.Errorf("%d DescribeServices in 60 idle sweeps", n)
		}
	})
}

func isWrite(call string) bool {
	for _, read := range []string{".Describe", ".List", ".Get", ".Filter", ".BatchGet"} {
		if strings.Contains(call, read) {
			return false
		}
	}
	return true
}

// rolloutCalls are the calls that AWS's ECS and ELB budgets pay for.
func rolloutCalls(b *bench) int {
	n := 0
	for call, count := range b.sim.Calls.Counts() {
		if strings.HasPrefix(call, "ecs.") || strings.HasPrefix(call, "elasticloadbalancing.") {
			n += count
		}
	}
	return n
}

func describe(t *testing.T, b *bench) *awsecs.DescribeServicesOutput {
	t.Helper()
	out, err := b.sim.ECS.DescribeServices(t.Context(), &awsecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{name(0)}})
	if err != nil || len(out.Services) != 1 {
		t.Fatal(out, err)
	}
	return out
}

// completedAt is the later of ECS's two words on the newest deployment.
func completedAt(t *testing.T, b *bench) time.Time {
	t.Helper()
	d := describe(t, b).Services[0].Deployments[0]
	out, err := b.sim.ECS.ListServiceDeployments(t.Context(), &awsecs.ListServiceDeploymentsInput{Cluster: aws.String("main"), Service: aws.String(name(0))})
	if err != nil || len(out.ServiceDeployments) == 0 {
		t.Fatal(err)
	}
	at := aws.ToTime(d.UpdatedAt)
	if sd := aws.ToTime(out.ServiceDeployments[0].FinishedAt); sd.After(at) {
		at = sd
	}
	return at
}

// secondDeath is when the second task of the rejected version had stopped, as its evidence says.
func secondDeath(t *testing.T, b *bench) time.Time {
	t.Helper()
	list, err := b.sim.ECS.ListTasks(t.Context(), &awsecs.ListTasksInput{Cluster: aws.String("main"), Family: aws.String(name(0)), DesiredStatus: "STOPPED"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.sim.ECS.DescribeTasks(t.Context(), &awsecs.DescribeTasksInput{Cluster: aws.String("main"), Tasks: list.TaskArns})
	if err != nil {
		t.Fatal(err)
	}
	var first, second time.Time
	for _, task := range out.Tasks {
		at := aws.ToTime(task.ExecutionStoppedAt)
		switch {
		case task.StopCode != "EssentialContainerExited":
		case first.IsZero() || at.Before(first):
			first, second = at, first
		case second.IsZero() || at.Before(second):
			second = at
		}
	}
	if second.IsZero() {
		t.Fatal("fewer than two tasks died")
	}
	return second
}

func lastRoll(b *bench) time.Time {
	var at time.Time
	for _, m := range b.acts {
		if _, ok := m.action.(rollout.Roll); ok {
			at = m.at
		}
	}
	return at
}

// BenchmarkIdlePass is one pass over a settled service: ledger, look, decision; nothing to write.
func BenchmarkIdlePass(b *testing.B) {
	const services = 100
	w := newBench(b, services, ecs.FastTiming())
	w.r.Pace = rollout.Pace{Watch: 200 * time.Millisecond, Idle: time.Second}
	w.ask(services, "1aaaaaa")
	w.until(b.Context(), "all settled", func() bool { return len(w.ended) >= services })
	for range 3 { // what is due after the verdict is written
		for i := range services {
			if _, err := w.r.Reconcile(b.Context(), name(i)); err != nil {
				b.Fatal(err)
			}
		}
	}
	// In production a minute lies between two looks, so that none is answered from the one before.
	w.forget()
	w.sim.Calls.Reset()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if _, err := w.r.Reconcile(b.Context(), name(i%services)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "passes/s")
	total, writes := 0, 0
	for call, n := range w.sim.Calls.Counts() {
		total += n
		if isWrite(call) {
			writes += n
		}
	}
	b.ReportMetric(float64(total)/float64(b.N), "calls/pass")
	b.ReportMetric(float64(writes)/float64(b.N), "writes/pass")
}
