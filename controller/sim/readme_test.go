package sim_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const tableHead = "| behaviour | source | test |"

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// testsOf lists, by folder below this one, the tests that are there; "" is this folder.
func testsOf(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range testFunction.FindAllStringSubmatch(string(b), -1) {
			out[folder(path)] = append(out[folder(path)], m[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func folder(path string) string { return strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), ".") }

// Every package has a table behaviour, source, test of its own, and every test that a table names is there: in the package, or in
// the one whose name stands before it, up to the next semicolon.
func TestReadmesNameTestsThatAreThere(t *testing.T) {
	tests := testsOf(t)
	packages, err := filepath.Glob("*/*.go")
	if err != nil || len(packages) == 0 {
		t.Fatal(err)
	}
	folders := []string{""}
	for _, file := range packages {
		folders = append(folders, folder(file))
	}
	slices.Sort(folders)
	for _, dir := range slices.Compact(folders) {
		b, err := os.ReadFile(filepath.Join(".", dir, "README.md"))
		if err != nil {
			t.Errorf("package %s: %v", dir, err)
			continue
		}
		_, table, found := strings.Cut(string(b), tableHead+"\n|---|---|---|\n")
		if !found {
			t.Errorf("%s/README.md has no table %s", dir, tableHead)
			continue
		}
		for line := range strings.Lines(table) {
			if !strings.HasPrefix(line, "|") {
				break
			}
			checkRow(t, dir, strings.TrimSpace(line), tests)
		}
	}
}

var testName = regexp.MustCompile("^(?:`(\\w+)` )?(Test\\w+)$")

func checkRow(t *testing.T, dir, line string, tests map[string][]string) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 3 || strings.TrimSpace(cells[0]) == "" || strings.TrimSpace(cells[1]) == "" {
		t.Errorf("%s/README.md: a row has a behaviour, a source and a test, found %s", dir, line)
		return
	}
	for group := range strings.SplitSeq(cells[2], ";") {
		in := dir
		for name := range strings.SplitSeq(group, ",") {
			m := testName.FindStringSubmatch(strings.TrimSpace(name))
			if m == nil {
				t.Errorf("%s/README.md: %q is no test, in %s", dir, name, line)
				continue
			}
			if m[1] != "" {
				in = strings.TrimPrefix(m[1], "sim")
			}
			if !slices.Contains(tests[in], m[2]) {
				t.Errorf("%s/README.md: there is no test %s in package %s", dir, m[2], in)
			}
		}
	}
}
