package pipeline

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

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
		{[]string{"desired/qa/orders.yaml", "desired/dev/orders.yaml", "desired/dev/menu.yaml"}, "controller desired infra", `"dev","qa"`},
		{[]string{"desired/qa/menu.yaml"}, "desired infra", `"qa"`},
		{[]string{"desired/gone/orders.yaml"}, "desired infra", ""},
		{[]string{"docs/images.md", "docs/decisions/001-x.md", "worker/README.md"}, "", ""},
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

// TestChangesRunTheTestsThatReadThem: a test that reads a file of another folder is run when that file changes.
func TestChangesRunTheTestsThatReadThem(t *testing.T) {
	r := newRepository(t)
	r.write("desired/prod/environment.yaml", "x")
	base := r.commit()
	runs := func(file, part, test string) {
		t.Helper()
		r.git("checkout", "--quiet", "--detach", base)
		r.write(file, "changed")
		r.commit()
		if got := r.run("changes", base, "HEAD"); !strings.Contains(got, part+"=true\n") {
			t.Errorf("a change of %s does not run %s:\n%s", file, test, got)
		}
	}
	for _, tt := range []struct{ file, part, test string }{
		// Whatever else changes a template is held to these files by TestGolden.
		{"infra/testdata/dev/order-processing-dev.template.json", "controller", "TestFromTemplateToVerifiedRollout"},
		{"desired/dev/order-processing.yaml", "controller", "TestFromTemplateToVerifiedRollout"},
		{"desired/prod/order-processing.yaml", "infra", "TestDesiredNamesWhatIsThere"},
		{"desired/prod/environment.yaml", "infra", "TestEnvironmentsAreDesired"},
		{"infra/README.md", "infra", "TestSecretsByHandAreTold"},
		{"docs/from-nothing-to-production.md", "infra", "TestSecretsByHandAreTold"},
		{"docs/from-nothing-to-production.md", "controller", "TestPageNamesWhatExists"},
		{"docs/pipelines.md", "controller", "TestPageNamesWhatExists"},
		{"docs/adopt.md", "controller", "TestPageNamesWhatExists"},
		{"docs/runbooks/drift.md", "controller", "TestEachAlertSaysWhatToDo"},
		{"controller/sim/README.md", "controller", "the tests of package sim"},
		{"controller/plan/testdata/plan.md", "controller", "the tests of package plan"},
	} {
		runs(tt.file, tt.part, tt.test)
	}
	read := readElsewhere(t)
	if len(read) < 8 {
		t.Fatalf("only %v were found", read)
	}
	for file, tests := range read {
		for _, test := range tests {
			part := "controller"
			if strings.HasPrefix(test, "infra/") {
				part = "infra"
			}
			runs(file, part, test)
		}
	}
}

// readElsewhere are files and folders of prose, of desired/ and of infra/ that tests of other folders name, with the tests' files.
func readElsewhere(t *testing.T) map[string][]string {
	t.Helper()
	read := make(map[string][]string)
	out, err := exec.Command("git", "-C", "..", "ls-files", "*_test.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	for test := range strings.FieldsSeq(string(out)) {
		text, err := os.ReadFile(filepath.Join("..", test))
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range regexp.MustCompile(`"((?:\.\./)+[\w./*-]+)"`).FindAllStringSubmatch(string(text), -1) {
			file := path.Join(path.Dir(test), named[1])
			info, err := os.Stat(filepath.Join("..", file))
			if top, _, _ := strings.Cut(file, "/"); err != nil || strings.HasPrefix(test, top+"/") || !slices.Contains([]string{"docs", "desired", "infra", "README.md"}, top) {
				continue
			}
			if info.IsDir() {
				file += "/any/file"
			}
			read[file] = append(read[file], test)
		}
	}
	return read
}
