package app_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/wire"
	"github.com/canteen/deploy/controller/status"
)

// seed is a service whose images have versions for tags.
const seed = `
clusters: [main]
repositories: [{name: soup}]
stacks: [{name: soup, outputs: {RepoUri: "${repository:soup}", ClusterName: main, ServiceName: soup, AppSubnetIds: subnet-0a, EcsSecurityGroupId: sg-0a, TaskTemplate: "soup-template:1"}}]
taskDefinitions:
- {family: soup-template, requiresCompatibilities: [FARGATE], networkMode: awsvpc, cpu: "256", memory: "512", executionRoleArn: "arn:aws:iam::${account}:role/x", containerDefinitions: [{name: app, image: "none:1", essential: true}]}
services:
- {cluster: main, serviceName: soup, taskDefinition: soup-template, desiredCount: 1, launchType: FARGATE, networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a], securityGroups: [sg-0a]}}}
`

// world is an account, a repository that has code and desired state, and a controller.
type world struct {
	*testing.T
	dir    string
	sim    *sim.Account
	git    *git.Repository
	began  time.Time
	app    *app.App
	reg    *prometheus.Registry
	logged *observer.ObservedLogs
	stop   func()
}

func bubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, dir: t.TempDir(), began: time.Now()}
		var err error
		w.sim, err = sim.New(sim.Config{Seed: 1, Timing: ecs.FastTiming()})
		w.must(err)
		defer func() { w.must(w.sim.Close()) }()
		planted, err := sim.ReadSeed([]byte(seed), w.dir)
		w.must(err)
		w.must(w.sim.Plant(t.Context(), planted))
		w.git, err = git.PlainInitWithOptions(w.dir+"/git", &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
		w.must(err)
		f(w)
		w.stop()
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// code commits code that was written so long before the test began.
func (w *world) code(text string, before time.Duration) (sha string) {
	w.Helper()
	w.file("soup.txt", text)
	return w.commit("soup: "+text, w.began.Add(-before))
}

// ask commits a tag.
func (w *world) ask(tag string) {
	w.Helper()
	w.file("desired/dev/"+desired.EnvironmentFile, "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec: {account: \"000000000000\", region: eu-central-1}\n")
	w.file("desired/dev/soup.yaml", "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: soup}\nspec:\n  stack: soup\n  containers: {app: {image: {tag: \""+tag+"\"}}}\n  verify: {bake: 10s}\n")
	w.commit("soup: "+tag, time.Now())
}

func (w *world) file(path, text string) {
	w.Helper()
	path = filepath.Join(w.dir, "git", path)
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path, []byte(text), 0o600))
}

func (w *world) commit(subject string, at time.Time) string {
	w.Helper()
	tree, err := w.git.Worktree()
	w.must(err)
	w.must(tree.AddWithOptions(&git.AddOptions{All: true}))
	hash, err := tree.Commit(subject, &git.CommitOptions{Author: &object.Signature{Name: "A developer", When: at}})
	w.must(err)
	return hash.String()
}

// push is what a pipeline does: an image under a tag, labelled with the commit that it was built of.
func (w *world) push(tag, commit string) {
	w.Helper()
	labels := map[string]string{}
	if commit != "" {
		labels["org.opencontainers.image.revision"] = commit
	}
	_, err := w.sim.PushImage("soup", sim.SeedImage{Tag: tag, Labels: labels})
	w.must(err)
}

// start starts a controller, on the ledger that is there.
func (w *world) start() {
	w.Helper()
	core, logged := observer.New(zapcore.InfoLevel)
	w.reg, w.logged = prometheus.NewRegistry(), logged
	var err error
	w.app, err = app.New(app.Config{
		Env: "dev", Git: gitrepo.Config{Source: w.dir + "/git", Folder: "desired/dev"}, Ledger: w.dir + "/ledger.db", Unsynced: true, Poll: 5 * time.Second,
		Pace: rollout.Pace{Watch: app.DefaultWatch, Idle: app.DefaultIdle}, Workers: 4, Build: status.Build{Version: "test"}, Registry: w.reg, Log: zap.New(core),
		Connect: func(_ context.Context, env desired.EnvironmentSpec) (app.Account, error) {
			clients := client.New(w.sim.AWSConfig(), client.Options{Registerer: w.reg})
			return account.New(clients, account.Options{Account: env.Account, Region: env.Region, BatchWait: account.DefaultBatchWait}), nil
		},
	})
	w.must(err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.app.Run(ctx) }()
	w.stop = func() { stop(); w.must(<-done) }
}

// runs waits until the tag is good, and answers how long that took since it was asked for.
func (w *world) runs(tag string) time.Duration {
	w.Helper()
	for from := time.Now(); ; time.Sleep(time.Second) {
		v := w.app.Board().Service("soup")
		if v != nil && v.Record.Good != nil && v.Record.Rollout == nil && v.Record.Good.Target.Containers.Of("app").Tag == tag {
			return time.Since(from)
		}
		if time.Since(from) > time.Hour {
			w.Fatalf("%s does not run: %+v", tag, v)
		}
	}
}

// leads are the lead times of this controller's releases: how many, and their sum.
func (w *world) leads() (times int, sum time.Duration) {
	w.Helper()
	families, err := w.reg.Gather()
	w.must(err)
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "deploy_change_lead_time_seconds" })
	h := families[i].GetMetric()[0].GetHistogram()
	return int(h.GetSampleCount()), time.Duration(h.GetSampleSum() * float64(time.Second))
}

// lead checks the lead time of the newest release, which is one more than there were: from so long before the test began until now.
func (w *world) lead(what string, times int, before, want time.Duration) time.Duration {
	w.Helper()
	n, sum := w.leads()
	if got := sum - before; n != times || math.Abs(float64(got-want)) > float64(2*time.Minute) {
		w.Errorf("%s: %s in release %d, want about %s in release %d", what, got, n, want, times)
	}
	return sum
}

func (w *world) built(number int) []string {
	w.Helper()
	entries := w.history()
	i := slices.IndexFunc(entries, func(e rollout.Entry) bool { return e.Number == number })
	if i < 0 {
		w.Fatalf("there is no rollout %d", number)
	}
	return entries[i].Built
}

// history is read once the controller has let go of its ledger.
func (w *world) history() []rollout.Entry {
	w.Helper()
	l, err := ledger.OpenWith(w.dir+"/ledger.db", ledger.Options{Unsynced: true})
	w.must(err)
	defer func() { w.must(l.Close()) }()
	entries, err := l.History(w.Context(), "soup", 0)
	w.must(err)
	return entries
}

// The lead time counts from the commit that the image's label names, whatever its tag is; it does so of a way back as well, by a
// controller that has not seen either version come; and the history keeps what was built of what.
func TestLeadTimeGoesByTheImagesLabel(t *testing.T) {
	bubble(t, func(w *world) {
		older, newer := w.code("of last week", 72*time.Hour), w.code("of today", 2*time.Hour)
		w.push("v1.1.0", older)
		w.push("v1.2.0", newer)
		w.ask("v1.1.0")
		w.start()
		w.runs("v1.1.0")
		sum := w.lead("the label's commit", 1, 0, 72*time.Hour+time.Since(w.began))
		w.ask("v1.2.0")
		w.runs("v1.2.0")
		w.lead("the newer label's commit", 2, sum, 2*time.Hour+time.Since(w.began))
		if n := w.sim.Calls.Count("ecr", "BatchGetImage"); n != 2 {
			w.Errorf("%d manifests were read for two images", n)
		}
		time.Sleep(3 * time.Hour)
		if n := w.sim.Calls.Count("ecr", "BatchGetImage"); n != 2 {
			w.Errorf("%d manifests were read while nothing rolled", n-2)
		}
		w.stop()
		w.start()
		w.ask("v1.1.0")
		took := w.runs("v1.1.0")
		w.lead("a way back is a change of now", 1, 0, took)
		w.stop()
		for number, want := range map[int]string{1: older, 2: newer, 3: older} {
			if got := w.built(number); !slices.Equal(got, []string{want}) {
				w.Errorf("rollout %d is kept as built of %q, want %s", number, got, want)
			}
		}
		w.start()
	})
}

// Where the registry does not tell, for whatever reason, everything goes on; a tag that is a commit has to do, and one that is none
// tells nothing.
func TestWithoutTheLabel(t *testing.T) {
	denied := wire.Fault{Service: "ecr", Operation: "BatchGetImage", Before: &types.AccessDeniedException{Message: new(string)}}
	for name, fault := range map[string]wire.Fault{
		"refused":              denied,
		"layers refused":       {Service: "ecr", Operation: "GetDownloadUrlForLayer", Before: denied.Before},
		"S3 cannot be reached": {Service: sim.LayerService, Before: wire.ErrResponseLost},
		"S3 hangs":             {Service: sim.LayerService, Delay: time.Hour},
		"ECR fails":            {Service: "ecr", Operation: "BatchGetImage", Before: errors.New("internal")},
	} {
		t.Run(name, func(t *testing.T) {
			var undisturbed time.Duration
			for _, disturbed := range []bool{false, true} {
				bubble(t, func(w *world) {
					if disturbed {
						w.sim.Faults.Add(fault)
					}
					older, newer := w.code("of last week", 72*time.Hour), w.code("of today", 2*time.Hour)
					w.push("v1.1.0", older)
					w.push(newer[:7], newer)
					w.ask("v1.1.0")
					w.start()
					w.runs("v1.1.0")
					n, sum := w.leads()
					if disturbed == (n > 0) {
						w.Errorf("%d lead times of a version", n)
					}
					w.ask(newer[:7])
					took := w.runs(newer[:7])
					w.lead("the tag's commit", n+1, sum, 2*time.Hour+time.Since(w.began))
					if !disturbed {
						undisturbed = took
						return
					}
					if took != undisturbed {
						w.Errorf("the rollout took %s, and %s where the registry tells", took, undisturbed)
					}
					told := w.logged.FilterMessageSnippet("lead times go by the images' tags").Len()
					if refused := fmt.Sprint(fault.Before) == fmt.Sprint(denied.Before); refused && told != 1 || !refused && told != 0 {
						w.Errorf("that it is refused was told %d times", told)
					}
				})
			}
		})
	}
}
