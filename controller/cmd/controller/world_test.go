package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/canteen/deploy/controller/sim"
	simecs "github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/iam"
)

const cluster = "canteen-dev"

// image is what one tag of a service's repository does when it runs.
type image struct {
	Tag      string
	StartsIn time.Duration // until it answers health checks, if it is behind a load balancer
	Migrates time.Duration
	Crashes  bool
	Log      string // a line besides "listening"
}

// service is one service of the account, with its images.
type service struct {
	Name     string
	Password string // of its database, in Secrets Manager
	Balanced bool   // whether it is behind a load balancer
	Images   []image
}

// simple is a service with one good image, "1a11111".
func simple(name string) service {
	return service{Name: name, Password: "of-this-test-only", Images: []image{{Tag: "1a11111", Migrates: 300 * time.Millisecond}}}
}

// world is an account that answers over HTTP, and a repository that asks something of it.
type world struct {
	t        *testing.T
	account  *sim.Account
	endpoint string
	dir      string // a folder for the controller's files
	source   string // the repository
	guard    *iam.Guard
}

// newWorld has an account with the services in it, and a repository with its environment and no service yet.
func newWorld(t *testing.T, config sim.Config, services ...service) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the real program in real time")
	}
	w := &world{t: t, dir: t.TempDir()}
	w.openAccount(config, w.fill("account.yaml", services))
	w.source = filepath.Join(w.dir, "repository")
	w.newRepository()
	return w
}

func (w *world) openAccount(config sim.Config, seedFile []byte) {
	w.t.Helper()
	config.Seed, config.Timing = 1, simecs.FastTiming()
	config.Timing.HealthyAfterRunning = 300 * time.Millisecond
	account, err := sim.New(config)
	w.must(err)
	w.t.Cleanup(func() { _ = account.Close() })
	seed, err := sim.ReadSeed(seedFile, "")
	w.must(err)
	w.must(account.Plant(w.t.Context(), seed))
	l, err := sim.Listen(w.t.Context(), "127.0.0.1:0")
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- account.Serve(ctx, l) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			w.t.Error(err)
		}
	})
	w.account, w.endpoint = account, "http://"+l.Addr().String()
}

func (w *world) newRepository() {
	w.t.Helper()
	_, err := git.PlainInitWithOptions(w.source, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	w.must(err)
	w.write("environment.yaml", w.fill("environment.yaml", nil))
	w.commit("an environment without services")
}

// ask commits that the service shall run the tag.
func (w *world) ask(tag string, names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.write(name+".yaml", w.fill("service.yaml", map[string]string{"Name": name, "Tag": tag}))
	}
	w.commit(strings.Join(names, ", ") + ": " + tag)
}

func (w *world) write(name string, content []byte) {
	w.t.Helper()
	dir := filepath.Join(w.source, "desired", "dev")
	w.must(os.MkdirAll(dir, 0o700))
	w.must(os.WriteFile(filepath.Join(dir, name), content, 0o600))
}

func (w *world) commit(subject string) {
	w.t.Helper()
	repo, err := git.PlainOpen(w.source)
	w.must(err)
	tree, err := repo.Worktree()
	w.must(err)
	w.must(tree.AddGlob("desired"))
	_, err = tree.Commit(subject, &git.CommitOptions{Author: &object.Signature{Name: "Ada", Email: "ada@canteen.example", When: time.Now()}})
	w.must(err)
}

func (w *world) fill(name string, data any) []byte {
	w.t.Helper()
	var out bytes.Buffer
	text, err := template.ParseFiles(filepath.Join("world", name+".tmpl"))
	w.must(err)
	w.must(text.Execute(&out, data))
	return out.Bytes()
}

// migrations counts the migration tasks that were ever started for the service.
func (w *world) migrations(name string) int {
	w.t.Helper()
	n := 0
	for _, status := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		list, err := w.account.ECS.ListTasks(w.t.Context(), &ecs.ListTasksInput{Cluster: aws.String(cluster), DesiredStatus: status})
		w.must(err)
		if len(list.TaskArns) == 0 {
			continue
		}
		out, err := w.account.ECS.DescribeTasks(w.t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String(cluster), Tasks: list.TaskArns})
		w.must(err)
		for _, task := range out.Tasks {
			if strings.HasPrefix(aws.ToString(task.Group), "family:") && strings.Contains(aws.ToString(task.TaskDefinitionArn), "/"+name+":") {
				n++
			}
		}
	}
	return n
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
