package scale_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/status"
)

// perCluster is AWS's quota of services in one cluster.
const perCluster = 5000

func name(i int) string { return fmt.Sprintf("svc-%05d", i) }

// world is an account with many services, a repository that has a file for each, and a controller.
type world struct {
	tb       testing.TB
	services int
	sim      *sim.Account
	dir      string
	git      *git.Repository
	env      string // spec of environment.yaml

	app  *app.App
	stop context.CancelFunc
	done chan error
}

func newWorld(tb testing.TB, services int) *world {
	tb.Helper()
	a, err := sim.New(sim.Config{Seed: 1, Timing: ecs.FastTiming(), Unthrottled: true, Quotas: ecs.Quotas{LaunchesPerSecond: 1 << 20, LaunchBurst: 1 << 20}})
	must(tb, err)
	w := &world{tb: tb, services: services, sim: a, dir: tb.TempDir()}
	for from := 0; from < services; from += 100 { // the text of all of them at once would be large
		seed, err := sim.ReadSeed([]byte(seedOf(from, min(from+100, services))), w.dir)
		must(tb, err)
		must(tb, a.Plant(context.Background(), seed))
	}
	w.git, err = git.PlainInitWithOptions(w.dir+"/git", &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	must(tb, err)
	w.environment("{after: 10m, action: report}")
	for i := range services {
		w.file(name(i)+".yaml", serviceFile(i, "1aaaaaa"))
	}
	w.commit("all of them")
	return w
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func seedOf(from, to int) string {
	var repositories, stacks, templates, services strings.Builder
	cluster := fmt.Sprint("c", from/perCluster)
	for i := from; i < to; i++ {
		n := name(i)
		fmt.Fprintf(&repositories, "  - {name: %s, images: [{tag: 1aaaaaa}, {tag: 2bbbbbb}]}\n", n)
		fmt.Fprintf(&stacks, "  - {name: %[1]s, outputs: {RepoUri: \"${repository:%[1]s}\", ClusterName: %[2]s, ServiceName: %[1]s, AppSubnetIds: subnet-0a, EcsSecurityGroupId: sg-0a, TaskTemplate: \"%[1]s-template:1\"}}\n", n, cluster)
		fmt.Fprintf(&templates, "  - {family: %[1]s-template, requiresCompatibilities: [FARGATE], networkMode: awsvpc, cpu: \"256\", memory: \"512\", executionRoleArn: \"arn:aws:iam::${account}:role/x\",\n     containerDefinitions: [{name: app, image: \"${repository:%[1]s}:1aaaaaa\", essential: true}]}\n", n)
		fmt.Fprintf(&services, "  - {cluster: %[2]s, serviceName: %[1]s, taskDefinition: %[1]s-template, desiredCount: 1, launchType: FARGATE,\n     networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a], securityGroups: [sg-0a]}}}\n", n, cluster)
	}
	clusters := ""
	if from%perCluster == 0 {
		clusters = "clusters: [" + cluster + "]\n"
	}
	return clusters + "repositories:\n" + repositories.String() + "stacks:\n" + stacks.String() + "taskDefinitions:\n" + templates.String() + "services:\n" + services.String()
}

func serviceFile(i int, tag string) string {
	return fmt.Sprintf("apiVersion: deploy/v1\nkind: Service\nmetadata: {name: %[1]s}\nspec:\n  stack: %[1]s\n  containers: {app: {image: {tag: %[2]s}}}\n  verify: {bake: 10s}\n", name(i), tag)
}

func (w *world) environment(drift string) {
	w.file(desired.EnvironmentFile, "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec: {account: \"000000000000\", region: eu-central-1, drift: "+drift+"}\n")
}

func (w *world) file(path, text string) {
	path = filepath.Join(w.dir, "git", "desired", "dev", path)
	must(w.tb, os.MkdirAll(filepath.Dir(path), 0o755))
	must(w.tb, os.WriteFile(path, []byte(text), 0o600))
}

func (w *world) commit(subject string) {
	w.tb.Helper()
	tree, err := w.git.Worktree()
	must(w.tb, err)
	must(w.tb, tree.AddWithOptions(&git.AddOptions{Path: "desired/dev"}))
	_, err = tree.Commit(subject, &git.CommitOptions{Author: &object.Signature{Name: "A developer", When: time.Now()}})
	must(w.tb, err)
}

// start starts a controller on the ledger that is there, with this share of AWS's budgets, that looks at a settled service so
// often.
func (w *world) start(share float64, idle time.Duration) {
	w.tb.Helper()
	var err error
	w.app, err = app.New(app.Config{
		Env: "dev", Git: gitrepo.Config{Source: w.dir + "/git", Folder: "desired/dev"}, Ledger: w.dir + "/ledger.db", Unsynced: true,
		Poll: app.DefaultPoll, Pace: rollout.Pace{Watch: app.DefaultWatch, Idle: idle}, Workers: app.DefaultWorkers,
		Build: status.Build{Version: "scale"}, Registry: prometheus.NewRegistry(), Log: zap.NewNop(),
		Connect: func(_ context.Context, env desired.EnvironmentSpec) (app.Account, error) {
			clients := client.New(w.sim.AWSConfig(), client.Options{BurstShare: share, RefillShare: share, Jitter: func() float64 { return 0 }})
			return account.New(clients, account.Options{Account: env.Account, Region: env.Region, BatchWait: account.DefaultBatchWait}), nil
		},
	})
	must(w.tb, err)
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.done = stop, make(chan error, 1)
	go func() { w.done <- w.app.Run(ctx) }()
}

// end ends the controller and leaves its ledger.
func (w *world) end() {
	w.tb.Helper()
	w.stop()
	must(w.tb, <-w.done)
	w.app = nil
}

func (w *world) close() {
	if w.app != nil {
		w.end()
	}
	must(w.tb, w.sim.Close())
}

// await lets time pass until it is so of every service, and answers how long that took.
func (w *world) await(limit time.Duration, is func(*status.View) bool) time.Duration {
	w.tb.Helper()
	for from := time.Now(); ; time.Sleep(time.Second) {
		views := w.app.Board().Snapshot().Services
		n := 0
		var first *status.View
		for _, v := range views {
			if is(v) {
				n++
			} else if first == nil {
				first = v
			}
		}
		if n == w.services {
			return time.Since(from)
		}
		if time.Since(from) > limit {
			why := ""
			if first != nil {
				why = fmt.Sprintf("%s is %s: %s", first.Record.Service, first.Status.Phase, first.Status.Why)
			}
			w.tb.Fatalf("%d of %d services within %s; %s", n, w.services, limit, why)
		}
	}
}

// settle deploys everything with nobody in the way, and ends the controller.
func (w *world) settle() {
	w.tb.Helper()
	w.start(1e6, app.DefaultIdle)
	w.await(24*time.Hour, healthy)
	time.Sleep(2 * time.Minute) // what is due after a verdict
	w.end()
	w.sim.Throttle(true)
	w.sim.Calls.Reset()
}

func healthy(v *status.View) bool { return v.Status.Phase == condition.PhaseHealthy }

// calls are the requests since the last reset: all, those that change something, and those that AWS refused for their rate.
func (w *world) calls() (all, writes, throttled int, list string) {
	var text bytes.Buffer
	for call, n := range w.sim.Calls.Counts() {
		all += n
		if isWrite(call) {
			writes += n
		}
		fmt.Fprintf(&text, "%s %d, ", call, n)
	}
	for _, c := range w.sim.Calls.Recent() {
		if strings.HasPrefix(c.Error, "Throttling") {
			throttled++
		}
	}
	return all, writes, throttled, strings.TrimSuffix(text.String(), ", ")
}

func isWrite(call string) bool {
	_, operation, _ := strings.Cut(call, ".")
	for _, prefix := range []string{"Describe", "List", "Get", "BatchGet", "Filter"} {
		if strings.HasPrefix(operation, prefix) {
			return false
		}
	}
	return true
}
