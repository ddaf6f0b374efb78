package story

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
)

// scratch makes a folder in memory, or answers "" where the machine has none that is large enough.
var scratch = func() string { return "" }

// TestMain lets the collector wait until the heap is six times what is alive: a world is small, lives for a second and leaves
// a lot behind. It writes hundreds of small files too, which cost a tenth of a story on a disk; TMPDIR, if somebody set it, is
// respected.
func TestMain(m *testing.M) { os.Exit(main(m)) }

func main(m *testing.M) int {
	debug.SetGCPercent(500)
	if os.Getenv("TMPDIR") == "" {
		if dir := scratch(); dir != "" {
			defer os.RemoveAll(dir)
			os.Setenv("TMPDIR", dir)
		}
	}
	code := m.Run()
	if err := needed(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		code = 1
	}
	return code
}

// read reads a story of testdata.
func read(t *testing.T, file string) *Story {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(filepath.Base(file), data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tell tells a story in a bubble and returns its world, closed.
func tell(t *testing.T, s *Story, change func(*Options)) (w *World) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var err error
		w, err = s.Tell(dir, change)
		if errors.Is(err, fs.ErrPermission) && s.Options.SmallDisk {
			t.Skipf("this story takes the right to mount a disk: %v", err)
		}
		if err != nil {
			journal := ""
			if w != nil {
				journal = w.Journal()
			}
			t.Errorf("%s\n\n%s\n%v\n\nTell it again: go test ./controller/story -run '^%s$'", s.Tells, journal, err, strings.ReplaceAll(t.Name(), "/", "$/^"))
		}
	})
	return w
}

func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for i, file := range files {
		if !sampled(i) {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			tell(t, read(t, file), nil)
		})
	}
}
