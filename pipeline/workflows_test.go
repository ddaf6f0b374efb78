// Package pipeline holds the workflows of .github/workflows to their rules, and runs the scripts that they call.
package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// actionlint is a module of its own, so that its dependencies are not the project's.
const actionlint = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

func TestActionlint(t *testing.T) {
	cmd := exec.Command("go", "run", actionlint)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

type workflow struct {
	Name        string
	On          on
	Permissions map[string]string
	Concurrency any
	Jobs        map[string]job
	Env         map[string]string
}

type on struct {
	Push             *struct{ Branches, Paths []string }
	PullRequest      given `yaml:"pull_request"`
	MergeGroup       any   `yaml:"merge_group"`
	WorkflowDispatch any   `yaml:"workflow_dispatch"`
}

// given is an event without anything behind it, which YAML calls null, or with filters.
type given struct{ is, filtered bool }

func (o *on) UnmarshalYAML(node *yaml.Node) error {
	type plain on
	if err := node.Decode((*plain)(o)); err != nil {
		return err
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == "pull_request" {
			o.PullRequest = given{is: true, filtered: node.Content[i+1].Tag != "!!null"}
		}
	}
	return nil
}

func (g *given) UnmarshalYAML(*yaml.Node) error { return nil } // on looks itself: null never gets here

type job struct {
	Name        string
	Needs       needs
	If          string
	RunsOn      string `yaml:"runs-on"`
	Timeout     int    `yaml:"timeout-minutes"`
	Environment string
	Permissions map[string]string
	Concurrency any
	Env         map[string]string
	Strategy    struct{ Matrix map[string]any }
	Steps       []step
}

type step struct {
	ID, Run, If string
	Uses        yaml.Node
	With        map[string]string
	Env         map[string]string
}

// needs is one name or a list of them.
type needs []string

func (n *needs) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*n = needs{node.Value}
		return nil
	}
	return node.Decode((*[]string)(n))
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	all := make(map[string]workflow)
	files, err := filepath.Glob("../.github/workflows/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var w workflow
		if err := yaml.Unmarshal([]byte(read(t, file)), &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yml")] = w
	}
	want := []string{"app-deploy", "app-pr", "build-cache", "controller", "infra-deploy", "infra-pr", "promote"}
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Fatalf("the workflows are %v, want %v", got, want)
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// each calls f for every job.
func each(t *testing.T, f func(t *testing.T, w workflow, name string, j job)) {
	for name, w := range workflows(t) {
		for jobName, j := range w.Jobs {
			t.Run(name+"/"+jobName, func(t *testing.T) { f(t, w, name+"/"+jobName, j) })
		}
	}
}

// TestPullRequestsRunAllTests: the parts that a pull request's machines share are those of make test.
func TestPullRequestsRunAllTests(t *testing.T) {
	found := regexp.MustCompile(`(?m)^test: (.+)$`).FindStringSubmatch(read(t, "../Makefile"))
	if found == nil {
		t.Fatal("make test has no parts")
	}
	test := workflows(t)["app-pr"].Jobs["test"]
	if got := fmt.Sprint(test.Strategy.Matrix["part"]); got != "["+found[1]+"]" {
		t.Errorf("a pull request runs %s, make test %s", got, found[1])
	}
	if s := test.Steps[len(test.Steps)-1]; s.Run != `.ci/run "$PART"` || s.Env["PART"] != "${{ matrix.part }}" ||
		s.Env["STORY_SEEDS"] != "${{ matrix.part == 'test-stories-race' && '300' || matrix.part == 'test-stories' && '2000' || '' }}" {
		t.Errorf("its last step is %q with %v", s.Run, s.Env)
	}
}

// TestPullRequestsFindTheirCaches: main's caches have the keys that a pull request's tests ask for, and race and plain builds one each.
func TestPullRequestsFindTheirCaches(t *testing.T) {
	path := func(j job) string {
		for _, s := range j.Steps {
			if strings.HasPrefix(s.Uses.Value, "actions/setup-go@") {
				return s.With["cache-dependency-path"]
			}
		}
		return ""
	}
	all := workflows(t)
	test, build := all["app-pr"].Jobs["test"], all["build-cache"].Jobs["build"]
	if path(test) == "" || path(test) != path(build) {
		t.Errorf("a pull request's tests read the cache of %q, build-cache fills that of %q", path(test), path(build))
	}
	found := regexp.MustCompile(`^\$\{\{ fromJSON\(contains\(matrix\.part, 'race'\) && '("[^']+")' \|\| '("[^']+")'\) \}\}$`).FindStringSubmatch(path(test))
	if found == nil || found[1] == found[2] {
		t.Fatalf("race and plain builds have no caches of their own: %q", path(test))
	}
	for _, files := range found[1:] {
		var list string
		if err := json.Unmarshal([]byte(files), &list); err != nil {
			t.Fatal(err)
		}
		for _, file := range strings.Split(list, "\n") {
			if _, err := os.Stat("../" + file); err != nil {
				t.Errorf("a key is made of a file that is not there: %v", err)
			}
		}
	}
	race := func(part any) bool { return strings.Contains(part.(string), "race") }
	if parts, ok := build.Strategy.Matrix["part"].([]any); !ok || !slices.ContainsFunc(parts, race) || !slices.ContainsFunc(parts, func(p any) bool { return !race(p) }) {
		t.Errorf("build-cache fills the caches of %v, which is not both", build.Strategy.Matrix["part"])
	}
}

// TestActionsArePinned: a tag can be moved to other code, a commit cannot. Each action has one commit everywhere.
func TestActionsArePinned(t *testing.T) {
	pin := regexp.MustCompile(`^([\w.-]+/[\w./-]+)@[0-9a-f]{40}$`)
	version := regexp.MustCompile(`^# v[0-9]+\.[0-9]+\.[0-9]+$`)
	pins := make(map[string]string)
	each(t, func(t *testing.T, _ workflow, _ string, j job) {
		for _, s := range j.Steps {
			if s.Uses.Value == "" {
				continue
			}
			found := pin.FindStringSubmatch(s.Uses.Value)
			if found == nil || !version.MatchString(s.Uses.LineComment) {
				t.Errorf("%s %s: write owner/name@COMMIT # vX.Y.Z", s.Uses.Value, s.Uses.LineComment)
				continue
			}
			all := s.Uses.Value + " " + s.Uses.LineComment
			if before := pins[found[1]]; before != "" && before != all {
				t.Errorf("%s here, and %s elsewhere", all, before)
			}
			pins[found[1]] = all
		}
	})
}

// rights are all that any job may do beyond reading the repository.
var rights = map[string][]string{
	"app-pr/plan":             {"id-token", "pull-requests"},
	"app-deploy/image":        {"attestations", "id-token"},
	"controller/image":        {"attestations", "id-token"},
	"promote/copy":            {"id-token"},
	"infra-pr/diff":           {"pull-requests"},
	"infra-deploy/deploy":     {"id-token"},
	"infra-deploy/production": {"id-token"},
}

// readsActions are the jobs that read who has to approve them.
var readsActions = map[string]bool{"infra-deploy/production": true, "promote/copy": true}

func TestPermissionsAreLeast(t *testing.T) {
	each(t, func(t *testing.T, w workflow, name string, j job) {
		if w.Permissions == nil || len(w.Permissions) != 0 {
			t.Errorf("the workflow grants %v; write permissions: {} and grant in jobs", w.Permissions)
		}
		if len(j.Permissions) == 0 {
			t.Error("the job says no permissions of its own")
		}
		var writes []string
		for scope, right := range j.Permissions {
			if right == "write" {
				writes = append(writes, scope)
			} else if right != "read" || scope != "contents" && !(scope == "actions" && readsActions[name]) {
				t.Errorf("it may %s %s, which no job needs", right, scope)
			}
		}
		slices.Sort(writes)
		if !slices.Equal(writes, rights[name]) {
			t.Errorf("it may write %v, want %v", writes, rights[name])
		}
		for _, s := range j.Steps {
			if strings.HasPrefix(s.Uses.Value, "actions/checkout@") && s.With["persist-credentials"] != "false" && s.With["token"] == "" {
				t.Error("the checkout leaves a token behind that nothing needs")
			}
		}
	})
}

// TestNoKeys: AWS is reached by OIDC. The two secrets there are belong to bots of GitHub's, because a workflow's own token may neither
// push to a protected branch nor open a pull request that is checked.
func TestNoKeys(t *testing.T) {
	bots := map[string]string{"app-deploy/commit": "DEPLOY_BOT_PRIVATE_KEY", "controller/commit": "DEPLOY_BOT_PRIVATE_KEY", "promote/open": "PROMOTE_BOT_PRIVATE_KEY"}
	each(t, func(t *testing.T, _ workflow, name string, j job) {
		text, err := yaml.Marshal(j.Steps)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, found := range regexp.MustCompile(`secrets\.(\w+)`).FindAllSubmatch(text, -1) {
			got = append(got, string(found[1]))
		}
		if key := bots[name]; key == "" && len(got) > 0 || key != "" && !slices.Equal(got, []string{key}) {
			t.Errorf("it reads the secrets %v, want %q alone", got, key)
		}
		if bytes.Contains(bytes.ToLower(text), []byte("aws-access-key")) || bytes.Contains(text, []byte("secrets: inherit")) {
			t.Error("it uses keys")
		}
		if got != nil && (j.Environment == "" || j.Permissions["id-token"] != "") {
			t.Error("the bot's key must be a secret of an environment, and its job must not reach AWS")
		}
		for _, s := range j.Steps {
			role := s.With["role-to-assume"]
			switch {
			case strings.HasPrefix(s.Uses.Value, "aws-actions/configure-aws-credentials@") == (role == ""):
				t.Errorf("credentials without a role, or a role without: %q", role)
			case strings.HasSuffix(role, ":role/cicd-deploy-role") && j.Environment == "":
				t.Error("the deploy role is bound to an environment, and the job has none")
			case role != "" && !strings.HasSuffix(role, ":role/cicd-deploy-role") && !(name == "app-pr/plan" && strings.HasSuffix(role, ":role/cicd-plan-role")):
				t.Errorf("it takes the role %s", role)
			}
		}
	})
}
