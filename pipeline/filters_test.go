package pipeline

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// matches follows GitHub's rules: the last pattern that matches counts, ** is anything, * anything but a slash.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
func matches(patterns []string, file string) bool {
	in := false
	for _, p := range patterns {
		p, not := strings.CutPrefix(p, "!")
		form := strings.NewReplacer(`\*\*`, `.*`, `\*`, `[^/]*`).Replace(regexp.QuoteMeta(p))
		if regexp.MustCompile("^" + form + "$").MatchString(file) {
			in = !not
		}
	}
	return in
}

// built are the files of the project that a program is made of.
func built(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-C", "..", "-deps", "-f",
		`{{if not .Standard}}{{with .Module}}{{if .Main}}{{$d := $.Dir}}{{range $.GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range $.EmbedFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}`, program).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for line := range strings.FieldsSeq(string(out)) {
		file, err := filepath.Rel(root, line)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.ToSlash(file))
	}
	if len(files) < 10 {
		t.Fatalf("%s is made of %v only", program, files)
	}
	return files
}

// TestFiltersCoverWhatIsBuilt: a change of any file that an image is made of makes a new image.
func TestFiltersCoverWhatIsBuilt(t *testing.T) {
	all := workflows(t)
	for workflow, want := range map[string]struct{ program, dockerfile string }{
		"app-deploy": {"./worker", "Dockerfile.worker"},
		"controller": {"./controller/cmd/controller", "Dockerfile.controller"},
	} {
		paths := all[workflow].On.Push.Paths
		for _, file := range append(built(t, want.program), want.dockerfile, "go.mod", "go.sum", ".dockerignore", "images/build") {
			if !matches(paths, file) {
				t.Errorf("%s: %s is part of the image, and its change would build none", workflow, file)
			}
		}
		for _, file := range []string{"desired/dev/order-processing.yaml", "docs/images.md", "infra/main.go", "infra/cdk.json", "worker/README.md", "controller/story/world.go", "worker/web/web_test.go"} {
			if matches(paths, file) {
				t.Errorf("%s: %s changes no image, and would build one", workflow, file)
			}
		}
	}
	// The bots' own commits must not start what made them.
	for _, workflow := range []string{"app-deploy", "controller"} {
		for _, file := range []string{"desired/dev/order-processing.yaml", "infra/cdk.json"} {
			if matches(all[workflow].On.Push.Paths, file) {
				t.Errorf("%s: a bot's commit of %s starts it again", workflow, file)
			}
		}
	}
	if paths := all["infra-deploy"].On.Push.Paths; !matches(paths, "infra/cdk.json") || !matches(paths, "infra/go.sum") || matches(paths, "infra/stacks_test.go") {
		t.Errorf("infra-deploy: %v", paths)
	}
	promote := all["promote"].On.Push.Paths
	for env, want := range map[string]bool{"dev": false, "qa": true, "staging": true, "prod": true} {
		if matches(promote, "desired/"+env+"/order-processing.yaml") != want {
			t.Errorf("promote: images of %s are copied: %v", env, !want)
		}
	}
}

// TestChanges runs the filter of the pull requests on changes of all kinds.
func TestChanges(t *testing.T) {
	r := newRepository(t)
	r.write("desired/dev/environment.yaml", "x")
	r.write("desired/qa/environment.yaml", "x")
	r.write("worker/old.go", "a file that moves\nas it is\n")
	base := r.commit()
	tests := []struct {
		files []string
		want  string // of worker, controller, desired, infra
		envs  string
	}{
		{[]string{"worker/web/web.go"}, "worker", ""},
		{[]string{"worker/store/migrations/postgres/00003_x.sql"}, "worker", ""},
		{[]string{"Dockerfile.worker"}, "worker", ""},
		{[]string{"controller/rollout/decide.go"}, "controller infra", ""},
		{[]string{"Dockerfile.controller"}, "controller", ""},
		{[]string{"desired/schema/service.schema.json"}, "controller", ""},
		{[]string{"go.sum"}, "worker controller", ""},
		{[]string{"images/build"}, "worker controller", ""},
		{[]string{"infra/stacks.go", "infra/go.mod"}, "infra", ""},
		{[]string{"desired/qa/orders.yaml", "desired/dev/orders.yaml", "desired/dev/menu.yaml"}, "desired", `"dev","qa"`},
		{[]string{"desired/gone/orders.yaml"}, "desired", ""},
		{[]string{"docs/images.md", "README.md", "worker/README.md"}, "", ""},
		{[]string{"docs/picture.svg", "infra/main.go"}, "infra", ""},
		{[]string{"Makefile"}, "worker controller desired infra", ""},
		{[]string{"pipeline/changes"}, "worker controller desired infra", ""},
		{[]string{".github/workflows/app-pr.yml"}, "worker controller desired infra", ""},
		{[]string{"a file of nobody's"}, "worker controller desired infra", ""},
		{[]string{"worker/ä b.go"}, "worker", ""},
	}
	for _, tt := range tests {
		t.Run(tt.files[0], func(t *testing.T) {
			r.git("checkout", "--quiet", "--detach", base)
			for _, file := range tt.files {
				r.write(file, "changed")
			}
			r.commit()
			if got, want := r.run("changes", base, "HEAD"), outputs(tt.want, tt.envs); got != want {
				t.Errorf("it says\n%swant\n%s", got, want)
			}
		})
	}
	t.Run("moved", func(t *testing.T) {
		r.git("checkout", "--quiet", "--detach", base)
		r.git("mv", "worker/old.go", "docs-old.md")
		r.commit()
		if got := r.run("changes", base, "HEAD"); !strings.Contains(got, "worker=true\n") {
			t.Errorf("what left worker/ changed it:\n%s", got)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		if got := r.run("changes", base, base); got != outputs("", "") {
			t.Errorf("it says\n%s", got)
		}
	})
}

func outputs(parts, environments string) string {
	text := ""
	for _, part := range []string{"worker", "controller", "desired", "infra"} {
		text += fmt.Sprintf("%s=%v\n", part, slices.Contains(strings.Fields(parts), part))
	}
	return text + "environments=[" + environments + "]\n"
}

// TestChangesCoverWhatIsBuilt: what a program is made of is tested before it is merged.
func TestChangesCoverWhatIsBuilt(t *testing.T) {
	r := newRepository(t)
	base := r.commit()
	for part, program := range map[string]string{"worker": "./worker", "controller": "./controller/cmd/controller"} {
		seen := make(map[string]bool)
		for _, file := range built(t, program) {
			if dir := filepath.Dir(file); !seen[dir] {
				seen[dir] = true
				r.git("checkout", "--quiet", "--detach", base)
				r.write(file, "changed")
				r.commit()
				if got := r.run("changes", base, "HEAD"); !strings.Contains(got, part+"=true\n") {
					t.Errorf("%s is part of %s, and its change tests nothing:\n%s", file, part, got)
				}
			}
		}
	}
}
