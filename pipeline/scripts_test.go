package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tool skips where a program is missing; in a pipeline .ci/run has installed it.
func tool(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" && os.Getuid() == 0 {
				t.Fatal(err)
			}
			t.Skipf("%v (Debian: apt-get install %s)", err, name)
		}
	}
}

// call runs a script of this folder, and returns what it prints on standard output; the error has what it says besides.
func call(t *testing.T, dir string, env []string, script string, args ...string) (string, error) {
	t.Helper()
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// repository is one on this machine.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	tool(t, "git", "jq")
	r := &repository{t: t, dir: t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@canteen.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@canteen.example")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) write(name, text string) {
	r.t.Helper()
	file := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o755)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) commit() string {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "--message", "x")
	return r.git("rev-parse", "HEAD")
}

func (r *repository) run(script string, args ...string) string {
	r.t.Helper()
	out, err := call(r.t, r.dir, nil, script, args...)
	if err != nil {
		r.t.Fatalf("%s: %v", script, err)
	}
	return out
}

// controller is the real program, built as the workflows build it.
var controller = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("make", "-C", root, "--silent", "build").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, out)
	}
	return filepath.Join(root, "bin", "controller"), nil
})

func withController(t *testing.T) string {
	t.Helper()
	program, err := controller()
	if err != nil {
		t.Fatal(err)
	}
	return "CONTROLLER=" + program
}

func TestGate(t *testing.T) {
	tool(t, "jq")
	tests := []struct {
		name, needs string
		well        bool
	}{
		{"all ran", `{"changes": {"result": "success", "outputs": {"worker": "true"}}, "test": {"result": "success"}}`, true},
		{"filtered away", `{"changes": {"result": "success"}, "test": {"result": "skipped"}}`, true},
		{"failed", `{"changes": {"result": "success"}, "test": {"result": "failure"}, "image": {"result": "success"}}`, false},
		{"cancelled", `{"changes": {"result": "success"}, "test": {"result": "cancelled"}}`, false},
		{"the filter failed, so that all was skipped", `{"changes": {"result": "failure"}, "test": {"result": "skipped"}}`, false},
		{"the filter was skipped", `{"changes": {"result": "skipped"}, "test": {"result": "skipped"}}`, false},
		{"no filter", `{"test": {"result": "success"}}`, false},
		{"nothing", ``, false},
		{"not JSON", `{`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, err := call(t, ".", []string{"NEEDS=" + tt.needs}, "gate"); (err == nil) != tt.well {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestEnvironment asks the real controller about the project's own files.
func TestEnvironment(t *testing.T) {
	env := withController(t)
	for _, folder := range []string{"dev", "qa", "staging", "prod"} {
		out, err := call(t, "..", []string{env}, "environment", "desired/"+folder)
		if err != nil {
			t.Fatal(err)
		}
		var name, account, region, registry string
		if n, err := fmt.Sscanf(out, "name=%s\naccount=%s\nregion=%s\nregistry=%s\n", &name, &account, &region, &registry); n != 4 || len(account) != 12 || registry != account+".dkr.ecr."+region+".amazonaws.com" {
			t.Errorf("%s: %v\n%s", folder, err, out)
		}
	}
	if out, err := call(t, "..", []string{env}, "environment", "desired/nowhere"); err == nil || out != "" {
		t.Errorf("of a folder that is not there: %v\n%s", err, out)
	}
}

// TestPlanStep takes the place of the controller by a program with its exit codes; what a plan says is tested where it is made.
func TestPlanStep(t *testing.T) {
	for code, well := range map[int]bool{0: true, 3: true, 1: false, 2: false} {
		r := &repository{t: t, dir: t.TempDir()}
		r.write("controller", fmt.Sprintf("#!/bin/sh\necho \"$*\"\nexit %d\n", code))
		out, err := call(t, r.dir, []string{"CONTROLLER=./controller"}, "plan", "dev")
		if (err == nil) != well || out != "plan desired/dev -o markdown\n" {
			t.Errorf("exit code %d: %v\n%s", code, err, out)
		}
	}
	// The real one takes those arguments: without an account to ask, it fails at that and not at the call.
	_, err := call(t, "..", []string{withController(t), "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_MAX_ATTEMPTS=1"}, "plan", "dev")
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the real controller: %v", err)
	}
}

func TestPromoteStep(t *testing.T) {
	r := &repository{t: t, dir: t.TempDir()}
	r.write("controller", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
	env := []string{"CONTROLLER=./controller", "SERVERS=dev=https://deploy.dev.example staging=https://deploy.staging.example"}
	tests := []struct {
		step, force, want string
	}{
		{"dev to qa", "", "promote --from dev --to qa --push --pull-request --server https://deploy.dev.example"},
		{"staging to prod", "", "promote --from staging --to prod --push --pull-request --server https://deploy.staging.example"},
		{"qa to prod", "the fix; $(id)", "promote --from qa --to prod --push --pull-request --force the fix; $(id)"},
	}
	for _, tt := range tests {
		out, err := call(t, r.dir, append(env, "FORCE="+tt.force), "promote", tt.step)
		if got := strings.ReplaceAll(strings.TrimSpace(out), "\n", " "); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v", tt.step, got, err)
		}
	}
	for _, step := range []string{"", "dev", "dev to", "dev into qa", "dev to qa to prod"} {
		if out, err := call(t, r.dir, env, "promote", step); err == nil {
			t.Errorf("%q: %s", step, out)
		}
	}
	// The real one knows these flags: without a token it says so.
	_, err := call(t, r.dir, []string{withController(t), "SERVERS=dev=http://127.0.0.1:1"}, "promote", "dev to qa")
	if err == nil || !strings.Contains(err.Error(), "needs GITHUB_TOKEN") {
		t.Errorf("the real controller: %v", err)
	}
}

func TestInfraDiff(t *testing.T) {
	r := newRepository(t)
	r.write("infra/cdk.json", `{"context": {"environments": {"dev": {"account": "1"}, "qa": {"account": "2"}}}}`)
	r.write("infra/go.mod", "module infra\n\ngo 1.26\n")
	r.write(".gitignore", "cdk.out\n")
	// It keeps to what the CDK asks of a program: context and folder come by the environment.
	program := func(count string) string {
		return `package main

import (
	"encoding/json"
	"os"
)

func main() {
	var context struct {
		Env          string
		Environments map[string]struct{ Account string }
	}
	if json.Unmarshal([]byte(os.Getenv("CDK_CONTEXT_JSON")), &context) != nil || context.Env == "" {
		panic("no context")
	}
	out := os.Getenv("CDK_OUTDIR")
	os.MkdirAll(out, 0o755)
	count := map[string]int{"dev": 1, "qa": ` + count + `}[context.Env]
	text, _ := json.Marshal(map[string]any{"Z": 1, "Count": count, "Account": context.Environments[context.Env].Account})
	os.WriteFile(out+"/stack.template.json", text, 0o644)
}
`
	}
	r.write("infra/main.go", program("2"))
	base := r.commit()
	env := []string{"GOCACHE=" + goEnv(t, "GOCACHE"), "GOFLAGS=-buildvcs=false"}
	same, err := call(t, r.dir, env, "infra-diff", base)
	if err != nil || same != "<!-- infra diff -->\nThe templates of every environment stay as they are.\n" {
		t.Errorf("without a change: %v\n%s", err, same)
	}
	r.write("infra/main.go", program("3"))
	r.commit()
	out, err := call(t, r.dir, env, "infra-diff", base)
	if err != nil || !strings.HasPrefix(out, "<!-- infra diff -->\n") || !strings.Contains(out, "-  \"Count\": 2,\n+  \"Count\": 3,\n") || strings.Contains(out, "dev/stack") {
		t.Errorf("%v\n%s", err, out)
	}
	if trees := r.git("worktree", "list"); strings.Contains(trees, "\n") {
		t.Errorf("it leaves behind\n%s", trees)
	}
	r.git("rm", "-r", "--quiet", "infra")
	before := r.commit()
	r.git("checkout", "--quiet", base, "--", "infra")
	r.commit()
	if out, err := call(t, r.dir, env, "infra-diff", before); err != nil || !strings.Contains(out, "new file mode") {
		t.Errorf("where there was no infra/: %v\n%s", err, out)
	}
	r.write("infra/main.go", "package main\n\nfunc main() { panic(1) }\n")
	r.commit()
	if out, err := call(t, r.dir, env, "infra-diff", base); err == nil {
		t.Errorf("a program that fails:\n%s", out)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}
