package release

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestSetWritesOneLine(t *testing.T) {
	w := newWorld(t)
	tag := w.commit("code")
	r, err := Set(t.Context(), w.newClone(), kinds(), image(tag, digestA))
	if err != nil || r.Outcome != Written || r.Before.Tag != "0000000" {
		t.Fatalf("%+v, %v", r, err)
	}
	want := strings.Replace(serviceFile, `{tag: "0000000"}`, fmt.Sprintf("{tag: %q, digest: %q}", tag, digestA), 1)
	if got := w.asked("desired/dev/orders.yaml"); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
	if got := w.commits()[0]; got != "orders: "+tag+" to dev" {
		t.Errorf("the commit says %q", got)
	}
	again, err := Set(t.Context(), w.newClone(), kinds(), image(tag, digestA))
	if err != nil || again.Outcome != Already || w.commits()[0] != "orders: "+tag+" to dev" || w.commits()[1] != "code" {
		t.Errorf("a second time: %+v, %v; commits %q", again, err, w.commits())
	}
}

// The pipeline of an older commit ends later: it must not take the newer build away.
func TestSetNeverGoesBack(t *testing.T) {
	w := newWorld(t)
	older, newer := w.commit("first"), w.commit("second")
	if _, err := Set(t.Context(), w.newClone(), kinds(), image(newer, digestB)); err != nil {
		t.Fatal(err)
	}
	before := w.asked("desired/dev/orders.yaml")
	r, err := Set(t.Context(), w.newClone(), kinds(), image(older, digestA))
	if err != nil || r.Outcome != Older || w.asked("desired/dev/orders.yaml") != before {
		t.Errorf("%+v, %v\n%s", r, err, w.asked("desired/dev/orders.yaml"))
	}
}

// Many pipelines end at once, and people push in between: each writes what it has to, and the newest build is asked for at the end.
func TestSetIsOvertaken(t *testing.T) {
	w := newWorld(t)
	const pipelines = 8
	var tags []string
	for i := range pipelines {
		tags = append(tags, w.commit(fmt.Sprintf("code %d", i)))
	}
	clones := make([]Repo, pipelines)
	for i := range clones {
		clones[i] = w.newClone()
	}
	var all sync.WaitGroup
	outcomes := make([]Outcome, pipelines)
	for i, tag := range tags {
		all.Go(func() {
			r, err := Set(t.Context(), clones[i], kinds(), image(tag, "sha256:"+strings.Repeat(fmt.Sprint(i), 64)))
			if err != nil {
				t.Error(err)
			}
			outcomes[i] = r.Outcome
		})
	}
	for i := range 3 {
		w.commit(fmt.Sprintf("a person's %d", i))
	}
	all.Wait()
	if got := w.asked("desired/dev/orders.yaml"); !strings.Contains(got, tags[pipelines-1]) || outcomes[pipelines-1] != Written {
		t.Errorf("the newest, %s, is not asked for (%v):\n%s", tags[pipelines-1], outcomes, got)
	}
	written := 0
	for i, o := range outcomes {
		if o == Written {
			written++
		} else if o != Older {
			t.Errorf("pipeline %d: %q", i, o)
		}
	}
	bumps := 0
	for _, subject := range w.commits() {
		if strings.HasPrefix(subject, "orders: ") {
			bumps++
		}
	}
	if bumps != written {
		t.Errorf("%d were written, but there are %d commits", written, bumps)
	}
}

func TestSetRefuses(t *testing.T) {
	w := newWorld(t)
	tag := w.commit("code")
	if _, err := Set(t.Context(), w.newClone(), kinds(), image(tag, digestA)); err != nil {
		t.Fatal(err)
	}
	next := w.commit("more code")
	tests := []struct {
		name, want string
		change     Change
	}{
		{"another digest of one tag", "cannot be " + digestB + " as well", image(tag, digestB)},
		{"a tag without its digest", "would contradict the new tag", image(next, "")},
		{"a tag of nowhere", "must be a commit of this repository", image("fffffff", digestA)},
		{"no such service", "the services there are orders", Change{Env: "dev", Service: "menu", Image: image(next, digestA).Image}},
		{"no such environment", "there is no desired/test", Change{Env: "test", Service: "orders", Image: image(next, digestA).Image}},
		{"no such container", "it has app", Change{Env: "dev", Service: "orders", Container: "web", Image: image(next, digestA).Image}},
		{"a digest that is none", "desired/dev/orders.yaml:9:", image(next, "sha256:11")},
	}
	before := w.commits()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := Set(t.Context(), w.newClone(), kinds(), tt.change); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, error %v, want one with %q", r, err, tt.want)
			}
		})
	}
	if _, err := Set(t.Context(), w.newClone("--depth=1"), kinds(), image(next, digestA)); !errors.Is(err, ErrShallow) {
		t.Errorf("in a shallow clone: %v", err)
	}
	if after := w.commits(); len(after) != len(before) {
		t.Errorf("something was written: %q", after)
	}
}

// A branch that may not be pushed to is an error at once, with the server's words, and not tried twenty times.
func TestSetMayNotPush(t *testing.T) {
	w := newWorld(t)
	tag := w.commit("code")
	hook := filepath.Join(w.bare, "hooks", "pre-receive")
	counter := filepath.Join(t.TempDir(), "pushes")
	w.must(os.WriteFile(hook, fmt.Appendf(nil, "#!/bin/sh\necho x >> %s\necho protected branch: only the bot may push >&2\nexit 1\n", counter), 0o755))
	_, err := Set(t.Context(), w.newClone(), kinds(), image(tag, digestA))
	if err == nil || !strings.Contains(err.Error(), "only the bot may push") {
		t.Errorf("error %v", err)
	}
	if pushes, _ := os.ReadFile(counter); strings.Count(string(pushes), "x") != 1 {
		t.Errorf("it pushed %q", pushes)
	}
}

func TestSetHere(t *testing.T) {
	w := newWorld(t)
	tag := w.commit("code")
	w.write("notes.txt", "somebody's")
	r, err := SetHere(t.Context(), w.clone, kinds(), image(tag, ""), false)
	if err != nil || r.Outcome != Written || r.Commit != "" || w.git("status", "--porcelain", "--untracked-files=no") != "M desired/dev/orders.yaml" && w.git("diff", "--name-only") != "desired/dev/orders.yaml" {
		t.Fatalf("%+v, %v: %s", r, err, w.git("status", "--porcelain"))
	}
	w.git("checkout", "--quiet", "--", "desired")
	w.git("add", "notes.txt")
	r, err = SetHere(t.Context(), w.clone, kinds(), image(tag, digestA), true)
	if err != nil || r.Commit != w.git("rev-parse", "HEAD") {
		t.Fatalf("%+v, %v", r, err)
	}
	if files := w.git("show", "--format=", "--name-only", "HEAD"); files != "desired/dev/orders.yaml" {
		t.Errorf("the commit has %q", files)
	}
}

// Nobody configured a name: the pipeline's commits are a bot's.
func TestSetHasAnAuthor(t *testing.T) {
	w := newWorld(t)
	tag := w.commit("code")
	for _, name := range []string{"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"} {
		os.Unsetenv(name) // newWorld's t.Setenv puts it back
	}
	if _, err := Set(t.Context(), w.newClone(), kinds(), image(tag, digestA)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "-C", w.bare, "log", "-1", "--format=%an <%ae>", "main").Output()
	if err != nil || !strings.HasPrefix(string(out), "deploy-bot <") {
		t.Errorf("%s, %v", out, err)
	}
}

// A container whose image another one repeats is not set: the other would change as well.
func TestSetRefusesWhatIsShared(t *testing.T) {
	w := newWorld(t)
	shared := strings.Replace(serviceFile, `image: {tag: "0000000"}`, `image: &img {tag: "0000000"}`, 1) + "    side: {image: *img}\n"
	w.write("desired/dev/orders.yaml", shared)
	tag := w.commit("shared")
	for container, want := range map[string]string{
		"app":  "desired/dev/orders.yaml:11:19: spec.containers.side.image is written through an alias and would change as well; write it out",
		"side": "desired/dev/orders.yaml:11:19: spec.containers.side.image is written through an alias; write it out",
	} {
		c := image(tag, digestA)
		c.Container = container
		if r, err := Set(t.Context(), w.newClone(), kinds(), c); err == nil || err.Error() != want {
			t.Errorf("%s: %+v, error %v, want %s", container, r, err, want)
		}
	}
	if got := w.asked("desired/dev/orders.yaml"); got != shared {
		t.Errorf("the file is\n%s", got)
	}
}
