package pipeline

import (
	"os/exec"
	"path/filepath"
	"regexp"
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
