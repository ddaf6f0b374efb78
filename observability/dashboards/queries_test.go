package dashboards_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/githost"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/ledger/dynamo"
	"github.com/canteen/deploy/controller/ledger/lease"
	"github.com/canteen/deploy/controller/notify"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/status"
	"github.com/canteen/deploy/observability/dashboards"
)

const seed = `
clusters: [c]
tables: [{name: ledger, hashKey: pk, sortKey: sk}]
repositories: [{name: soup, images: [{tag: "FIRST"}, {tag: 2bbbbbb, script: {startError: "it does not start"}}]}]
stacks: [{name: soup, outputs: {RepoUri: "${repository:soup}", ClusterName: c, ServiceName: soup, AppSubnetIds: subnet-0a, EcsSecurityGroupId: sg-0a, TaskTemplate: "soup-template:1"}}]
taskDefinitions:
  - {family: soup-template, requiresCompatibilities: [FARGATE], networkMode: awsvpc, cpu: "256", memory: "512", executionRoleArn: "arn:aws:iam::${account}:role/x",
     containerDefinitions: [{name: app, image: "${repository:soup}:FIRST", essential: true}]}
services:
  - {cluster: c, serviceName: soup, taskDefinition: soup-template, desiredCount: 1, launchType: FARGATE,
     networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a], securityGroups: [sg-0a]}}}
`

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func environment(name string) string {
	return "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: " + name + "}\nspec: {account: \"000000000000\", region: eu-central-1}\n"
}

// ask commits a tag of the service.
func ask(t *testing.T, repo *git.Repository, dir, tag string) {
	t.Helper()
	folder := filepath.Join(dir, "desired/dev")
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, desired.EnvironmentFile), []byte(environment("dev")), 0o600))
	must(t, os.WriteFile(filepath.Join(folder, "soup.yaml"), []byte("apiVersion: deploy/v1\nkind: Service\nmetadata: {name: soup}\nspec:\n  stack: soup\n  containers: {app: {image: {tag: \""+tag+"\"}}}\n  verify: {bake: 10s}\n"), 0o600))
	commit(t, repo, tag)
}

func commit(t *testing.T, repo *git.Repository, subject string) string {
	t.Helper()
	tree, err := repo.Worktree()
	must(t, err)
	must(t, tree.AddWithOptions(&git.AddOptions{All: true}))
	hash, err := tree.Commit(subject, &git.CommitOptions{Author: &object.Signature{Name: "A developer", When: time.Now()}})
	must(t, err)
	return hash.String()
}

// run starts a controller, at a pace that a test can wait for, over a simulated account, with each part that is optional, since each has
// metrics of its own: a ledger that is shared, which a second controller stands by at, and a queue of events. A third one has its ledger in
// a file, and no services. It answers all of them, the one that acts first.
func run(t *testing.T) ([]*app.App, *git.Repository, string) {
	t.Helper()
	dir := t.TempDir()
	repo, err := git.PlainInitWithOptions(dir+"/git", &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	must(t, err)
	// The image's tag is the commit of its code, from which the lead time counts.
	must(t, os.WriteFile(dir+"/git/soup.txt", []byte("of the day"), 0o600))
	first := commit(t, repo, "soup: as it is")[:7]
	acc, err := sim.New(sim.Config{Seed: 1, Timing: ecs.FastTiming()})
	must(t, err)
	t.Cleanup(func() { must(t, acc.Close()) })
	parsed, err := sim.ReadSeed([]byte(strings.ReplaceAll(seed, "FIRST", first)), dir)
	must(t, err)
	must(t, acc.Plant(context.Background(), parsed))
	_, err = acc.SQS.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("events")})
	must(t, err)
	must(t, os.MkdirAll(dir+"/git/desired/none", 0o755))
	must(t, os.WriteFile(dir+"/git/desired/none/"+desired.EnvironmentFile, []byte(environment("none")), 0o600))
	ask(t, repo, dir+"/git", first)
	shared := func(owner string) *app.Shared {
		table := dynamo.New(acc.AWSConfig(), dynamo.Options{Table: "ledger", Environment: "dev"})
		return &app.Shared{Table: table, Lease: lease.New(table, owner, zap.NewNop())}
	}
	acts := start(t, acc, dir, "dev", shared("first"))
	for from := time.Now(); acts.Board().Snapshot().Lease == nil || acts.Board().Snapshot().Lease.Role != status.RoleLeader; time.Sleep(100 * time.Millisecond) {
		if time.Since(from) > 2*time.Minute {
			t.Fatal("the first controller does not take the lease")
		}
	}
	return []*app.App{acts, start(t, acc, dir, "dev", shared("second")), start(t, acc, dir, "none", nil)}, repo, dir + "/git"
}

// start starts one controller, with its ledger in a file where it shares none.
func start(t *testing.T, acc *sim.Account, dir, env string, shared *app.Shared) *app.App {
	t.Helper()
	reg := prometheus.NewRegistry()
	opts := client.Options{BurstShare: 1, RefillShare: 1, Registerer: reg}
	cfg := app.Config{
		Env: env, Git: gitrepo.Config{Source: dir + "/git", Folder: "desired/" + env}, Ledger: dir + "/ledger.db", Unsynced: true, Shared: shared,
		Poll: time.Second, Pace: rollout.Pace{Watch: time.Second, Idle: 5 * time.Second}, Workers: 4,
		Build: status.Build{Version: "test"}, Registry: reg, Log: zap.NewNop(),
	}
	var told account.Told
	if shared != nil {
		ears := events.New(fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/events", sim.DefaultRegion, sim.DefaultAccount), zap.NewNop())
		cfg.Events, told, opts.MayWrite = ears, ears, shared.Lease.MayWrite
		cfg.Notify, cfg.GitHost = tells(t, env, reg)
	}
	cfg.Connect = func(_ context.Context, env desired.EnvironmentSpec) (app.Account, error) {
		return account.New(client.New(acc.AWSConfig(), opts), account.Options{Account: env.Account, Region: env.Region, Told: told}), nil
	}
	a, err := app.New(cfg)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	return a
}

// tells are the parts that tell a receiver of messages, who takes them, and GitHub, which is away.
func tells(t *testing.T, env string, reg *prometheus.Registry) (*notify.Notifier, *githost.Speaker) {
	t.Helper()
	answers := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	t.Setenv("OPS_URL", answers(http.StatusNoContent))
	t.Setenv("OPS_SECRET", "of the receiver")
	config, errs := notify.Parse("notify.yaml", []byte("apiVersion: deploy/v1\nkind: Notifications\nreceivers:\n  ops: {webhook: {url: {env: OPS_URL}, secret: {env: OPS_SECRET}}}\nroutes: [{receiver: ops}]\n"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	host, err := githost.Open(githost.Options{API: answers(http.StatusServiceUnavailable), Repository: "canteen/deploy", Branch: "main", TokenEnv: "OPS_SECRET"})
	must(t, err)
	return notify.New(notify.Options{Environment: env, Config: config, Registry: reg, Log: zap.NewNop()}), githost.New(host, "", zap.NewNop(), reg)
}

// scrape starts a Prometheus that looks once a second, with the rules.
func scrape(t *testing.T, all []*app.App) (address string) {
	t.Helper()
	if _, err := exec.LookPath("prometheus"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("prometheus is not installed")
	}
	var targets []string
	for _, a := range all {
		srv := httptest.NewServer(a.Handler())
		t.Cleanup(srv.Close)
		targets = append(targets, srv.Listener.Addr().String())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address = l.Addr().String()
	must(t, l.Close())
	dir := t.TempDir()
	files, err := filepath.Abs("..")
	must(t, err)
	must(t, os.WriteFile(dir+"/p.yml", []byte(fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%[2]s/recording.yaml, %[2]s/alerts.yaml]\nscrape_configs: [{job_name: deploy, static_configs: [{targets: [%[1]s]}]}]\n", strings.Join(targets, ", "), files)), 0o600))
	cmd := exec.Command("prometheus", "--config.file="+dir+"/p.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	return "http://" + address
}

// rows is how many series a query had at some time of the last ten minutes, with a number.
func rows(t *testing.T, prom, expr string) int {
	t.Helper()
	now := time.Now().Unix()
	q := url.Values{"query": {strings.NewReplacer("$environment", "dev", "$service", "soup", "$__rate_interval", "10s", "$__range", "10m").Replace(expr)},
		"start": {fmt.Sprint(now - 600)}, "end": {fmt.Sprint(now)}, "step": {"1"}}
	resp, err := http.Get(prom + "/api/v1/query_range?" + q.Encode())
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusServiceUnavailable { // it listens, and still reads its storage
		return 0
	}
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	var out struct {
		Error string
		Data  struct {
			Result []struct{ Values [][2]any }
		}
	}
	must(t, json.Unmarshal(body, &out))
	if out.Error != "" {
		t.Errorf("%s: %s", expr, out.Error)
	}
	n := 0
	for _, series := range out.Data.Result {
		if slices.ContainsFunc(series.Values, func(v [2]any) bool { return v[1] != "NaN" }) {
			n++
		}
	}
	return n
}

var labelValues = regexp.MustCompile(`^label_values\((.+), \w+\)$`)

// Every query of every file has an answer once a rollout succeeded and another one was put back.
func TestQueries(t *testing.T) {
	all, repo, dir := run(t)
	prom := scrape(t, all)
	await := func(result string) {
		for from := time.Now(); rows(t, prom, `deploy_rollouts_total{result="`+result+`"} > 0`) == 0; time.Sleep(500 * time.Millisecond) {
			if time.Since(from) > 3*time.Minute {
				t.Fatalf("no rollout %s: %+v", result, all[0].Board().Snapshot().Services)
			}
		}
	}
	await("succeeded")
	ask(t, repo, dir, "2bbbbbb")
	await("reverted")
	for _, d := range dashboards.All() {
		text, err := d.JSON()
		must(t, err)
		var v any
		must(t, json.Unmarshal(text, &v))
		for _, e := range exprs(v) {
			if m := labelValues.FindStringSubmatch(e); m != nil {
				e = m[1]
			}
			// A rate takes two scrapes, and a busy machine takes its time for each.
			for from := time.Now(); rows(t, prom, e) == 0; time.Sleep(time.Second) {
				if time.Since(from) > time.Minute {
					t.Fatalf("%s: nothing for %s", d.Name, e)
				}
			}
		}
	}
	t.Run("rules", func(t *testing.T) { rulesHold(t, all, prom) })
}

// exprs are all queries below a value of the file.
func exprs(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if s, is := x.(string); is && (k == "expr" || k == "definition") {
				out = append(out, s)
			}
			out = append(out, exprs(x)...)
		}
	case []any:
		for _, x := range v {
			out = append(out, exprs(x)...)
		}
	}
	return out
}
