package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/sim"
)

// journey is a repository that two environments follow, each with an account and a controller of its own.
type journey struct {
	*world // of dev, and of the repository
	qa     *world
	clone  string // a pipeline's
}

func newJourney(t *testing.T) *journey {
	t.Helper()
	j := &journey{world: newWorld(t, sim.Config{}, simple("orders")), qa: newWorld(t, sim.Config{}, simple("orders"))}
	j.qa.source = j.source
	j.ask("1a11111", "orders")
	for _, file := range []string{"environment.yaml", "orders.yaml"} {
		text, err := os.ReadFile(filepath.Join(j.source, "desired", "dev", file))
		j.must(err)
		j.must(os.MkdirAll(filepath.Join(j.source, "desired", "qa"), 0o755))
		j.must(os.WriteFile(filepath.Join(j.source, "desired", "qa", file), []byte(strings.Replace(string(text), "name: dev", "name: qa", 1)), 0o644))
	}
	j.commit("qa, like dev")
	j.git(j.source, "config", "receive.denyCurrentBranch", "ignore") // the controllers read commits and never the work tree
	j.clone = filepath.Join(t.TempDir(), "clone")
	j.git(".", "clone", "--quiet", "file://"+j.source, j.clone)
	return j
}

func (j *journey) git(dir string, args ...string) string {
	j.t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		j.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// build commits code and returns the tag and the digest that a pipeline would push it under.
func (j *journey) build(code string) (tag, digest string) {
	j.t.Helper()
	j.git(j.clone, "pull", "--quiet", "--rebase")
	j.must(os.WriteFile(filepath.Join(j.clone, "main.go"), []byte(code), 0o644))
	j.git(j.clone, "add", "main.go")
	j.git(j.clone, "commit", "--quiet", "--message", code)
	j.git(j.clone, "push", "--quiet")
	sha := j.git(j.clone, "rev-parse", "HEAD")
	return sha[:7], fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(sha)))
}

// What images do.
const (
	listens = `{script: {startsIn: 300ms, logs: [{text: listening}]}, commands: [{command: [/app, migrate], script: {exit: {after: 300ms}}}]}`
	crashes = `{script: {exit: {after: 500ms, code: 1}}, commands: [{command: [/app, migrate], script: {exit: {after: 300ms}}}]}`
)

// push puts an image into an account's registry.
func (w *world) push(tag, digest, does string) {
	w.t.Helper()
	var image sim.SeedImage
	w.must(yaml.UnmarshalStrict([]byte(does), &image))
	image.Tag, image.Digest = tag, digest
	_, err := w.account.PushImage("orders", image)
	w.must(err)
}

func (j *journey) run(args ...string) (string, error) {
	j.t.Helper()
	code, stdout, stderr := j.call([]string{"GIT_CONFIG_GLOBAL=" + os.DevNull}, append(args, "-C", j.clone)...)
	if code != 0 {
		return stdout, fmt.Errorf("exit code %d: %s", code, stderr)
	}
	return stdout, nil
}

// TestFromCommitToTheSecondEnvironment is what the pipeline does around the controllers, step by step, with the real programs: a build is
// asked for in dev and verified there, promoted by a merge, waited for until its image is in the other registry, and verified there.
func TestFromCommitToTheSecondEnvironment(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	dev := j.start()
	qa := j.qa.start("--env", "qa")
	dev.awaitPhase(condition.PhaseHealthy, "orders")
	qa.awaitPhase(condition.PhaseHealthy, "orders")

	tag, digest := j.build("take orders")
	j.push(tag, digest, listens)
	if _, err := j.run("set-image", "--env", "dev", "--service", "orders", "--tag", tag, "--digest", digest, "--push"); err != nil {
		t.Fatal(err)
	}
	dev.awaitTag("orders", tag)

	out, err := j.run("promote", "--from", "dev", "--to", "qa", "--server", "http://"+dev.addr, "--push")
	if err != nil || !strings.Contains(out, "orders (app): 1a11111 → "+tag) || !strings.Contains(out, "good in dev since") {
		t.Fatalf("%v\n%s", err, out)
	}
	if s, err := qa.look("orders"); err != nil || s.Phase != condition.PhaseHealthy {
		t.Errorf("before the merge qa is %s: %s (%v)", s.Phase, s.Why, err)
	}
	j.git(j.clone, "fetch", "--quiet", "origin", "promote/dev-to-qa")
	j.git(j.clone, "push", "--quiet", "origin", "FETCH_HEAD:main") // the merge

	qa.awaitPhase(condition.PhaseBlocked, "orders") // its registry does not have the image yet
	if s, err := qa.look("orders"); err != nil || len(s.Rejected) != 0 {
		t.Errorf("qa rejected what it waits for: %+v, %v", s.Rejected, err)
	}
	j.qa.push(tag, digest, listens)
	qa.awaitTag("orders", tag)

	// A version that dev rejects goes no further.
	bad, badDigest := j.build("read MENU_URL")
	j.push(bad, badDigest, crashes)
	if _, err := j.run("set-image", "--env", "dev", "--service", "orders", "--tag", bad, "--digest", badDigest, "--push"); err != nil {
		t.Fatal(err)
	}
	dev.awaitPhase(condition.PhaseReverted, "orders")
	if out, err := j.run("promote", "--from", "dev", "--to", "qa", "--server", "http://"+dev.addr, "--push"); err == nil || !strings.Contains(err.Error(), "was never verified good in the source: rejected: ") {
		t.Errorf("%v\n%s", err, out)
	}
	for name, p := range map[string]*program{"dev": dev, "qa": qa} {
		if s, err := p.look("orders"); err != nil || !runs(s.Running, tag) {
			t.Errorf("%s runs %v, want %s (%v)", name, s.Running.Images, tag, err)
		}
	}
}

func runs(v condition.Version, tag string) bool {
	for _, image := range v.Images {
		if strings.HasSuffix(image, ":"+tag) {
			return true
		}
	}
	return false
}

// awaitTag waits until the service settled on a tag.
func (p *program) awaitTag(service, tag string) {
	p.t.Helper()
	p.await(service+" healthy at "+tag, func() error {
		s, err := p.look(service)
		if err == nil && (s.Phase != condition.PhaseHealthy || !runs(s.Running, tag)) {
			err = fmt.Errorf("it is %s at %v: %s", s.Phase, s.Running.Images, s.Why)
		}
		return err
	})
}
