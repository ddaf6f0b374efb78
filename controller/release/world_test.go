package release

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/strategy"
)

func kinds() desired.Kinds {
	return desired.Kinds{Checks: health.Kinds(), Strategies: strategy.Kinds()}
}

const (
	environmentFile = "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec: {account: \"000000000000\", region: eu-central-1}\n"
	serviceFile     = `# orders, as people wrote it
apiVersion: deploy/v1
kind: Service
metadata: {name: orders}
spec:
  stack: orders-dev
  containers:
    app:   # the only one
      image: {tag: "0000000"}   # by CI
      env: {LOG_LEVEL: info}
`
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// world is a bare repository, as a git host keeps one, and a clone of it that commits code.
type world struct {
	t     *testing.T
	bare  string
	clone Repo
}

func newWorld(t *testing.T) *world {
	t.Helper()
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull,
		"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@canteen.example", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@canteen.example",
	} {
		t.Setenv(name, value)
	}
	w := &world{t: t, bare: filepath.Join(t.TempDir(), "host.git")}
	w.must(exec.Command("git", "init", "--quiet", "--bare", "--initial-branch=main", w.bare).Run())
	w.clone = w.newClone()
	w.write("desired/dev/environment.yaml", environmentFile)
	w.write("desired/dev/orders.yaml", serviceFile)
	w.git("add", "--all")
	w.git("commit", "--quiet", "--message", "the environment")
	w.git("push", "--quiet", "origin", "HEAD:main")
	return w
}

// newClone is what a pipeline checks out.
func (w *world) newClone(more ...string) Repo {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "clone")
	out, err := exec.Command("git", append(append([]string{"clone", "--quiet"}, more...), "file://"+w.bare, dir)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("clone: %v\n%s", err, out)
	}
	return Repo{Dir: dir, Remote: "origin", Branch: "main"}
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := w.clone.git(w.t.Context(), nil, nil, args...)
	w.must(err)
	return out
}

func (w *world) write(name, content string) {
	w.t.Helper()
	file := filepath.Join(w.clone.Dir, filepath.FromSlash(name))
	w.must(os.MkdirAll(filepath.Dir(file), 0o755))
	w.must(os.WriteFile(file, []byte(content), 0o644))
}

// commit pushes what was written, and returns the short hash that an image of it would be tagged with.
func (w *world) commit(subject string) string {
	w.t.Helper()
	w.git("add", "--all")
	w.git("commit", "--quiet", "--allow-empty", "--message", subject)
	for {
		w.git("pull", "--quiet", "--rebase", "origin", "main")
		if _, err := w.clone.git(w.t.Context(), nil, nil, "push", "--quiet", "origin", "HEAD:main"); err == nil {
			return w.git("rev-parse", "--short=7", "HEAD")
		} else if !strings.Contains(err.Error(), "rejected") {
			w.t.Fatal(err) // it was not overtaken
		}
	}
}

// asked is a file at the host's newest commit.
func (w *world) asked(file string) string {
	w.t.Helper()
	out, err := exec.Command("git", "-C", w.bare, "show", "main:"+file).Output()
	w.must(err)
	return string(out)
}

func (w *world) commits() []string {
	w.t.Helper()
	out, err := exec.Command("git", "-C", w.bare, "log", "--format=%s", "main").Output()
	w.must(err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func image(tag, digest string) Change {
	return Change{Env: "dev", Service: "orders", Image: desired.Image{Tag: tag, Digest: digest}}
}

// countGit answers how often git has been started since then.
func (w *world) countGit() func() int {
	w.t.Helper()
	real, err := exec.LookPath("git")
	w.must(err)
	dir := w.t.TempDir()
	log := filepath.Join(dir, "log")
	w.must(os.WriteFile(filepath.Join(dir, "git"), fmt.Appendf(nil, "#!/bin/sh\necho x >>'%s'\nexec '%s' \"$@\"\n", log, real), 0o755))
	w.t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() int {
		data, err := os.ReadFile(log)
		w.must(err)
		return strings.Count(string(data), "x")
	}
}
