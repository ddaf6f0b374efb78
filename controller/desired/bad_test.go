package desired_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/canteen/deploy/controller/desired"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is found into testdata/bad")

const goodEnvironment = `apiVersion: deploy/v1
kind: Environment
metadata:
  name: dev
spec:
  account: "000000000000"
  region: eu-central-1
`

// TestBadFiles holds each rule with an archive under testdata/bad: the files of a folder, and under "want" every error and what
// became of each service. A folder without environment.yaml gets a good one.
func TestBadFiles(t *testing.T) {
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree, want := folder(archive)
			got := told(desired.Load(tree, testKinds()))
			if strings.Contains(got, "hunter2") || strings.Contains(got, "271828") {
				t.Errorf("an error repeats a secret:\n%s", got)
			}
			if *update {
				writeWant(t, name, archive, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s\nrepeat: go test ./controller/desired -run 'TestBadFiles/%s$'; accept: add -update", diff,
					strings.TrimSuffix(filepath.Base(name), ".txtar"))
			}
		})
	}
}

func folder(archive *txtar.Archive) (fstest.MapFS, string) {
	tree := fstest.MapFS{desired.EnvironmentFile: {Data: []byte(goodEnvironment)}}
	want := ""
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		tree[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return tree, want
}

// told is a snapshot in words.
func told(snap *desired.Snapshot) string {
	var b strings.Builder
	for _, e := range snap.Errors {
		fmt.Fprintln(&b, e)
	}
	if snap.Environment == nil {
		fmt.Fprintln(&b, "no environment")
	}
	if len(snap.Services) > 0 {
		fmt.Fprintln(&b, "valid:", strings.Join(slices.Sorted(maps.Keys(snap.Services)), " "))
	}
	if len(snap.Invalid) > 0 {
		fmt.Fprintln(&b, "invalid:", strings.Join(slices.Sorted(maps.Keys(snap.Invalid)), " "))
	}
	return b.String()
}

func writeWant(t *testing.T, name string, archive *txtar.Archive, want string) {
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestOddFiles holds what an archive cannot: files that are no plain text.
func TestOddFiles(t *testing.T) {
	tree := fstest.MapFS{
		desired.EnvironmentFile: {Data: []byte(goodEnvironment)},
		"link.yaml":             {Data: []byte("shop.yaml"), Mode: fs.ModeSymlink},
		"pipe.yaml":             {Mode: fs.ModeNamedPipe},
		"folder.yaml/a":         {Data: []byte("x")},
		"large.yaml":            {Data: bytes.Repeat([]byte("#"), desired.FileSizeMax+1)},
		"latin1.yaml":           {Data: []byte("kind: Service\nname: caf\xe9\n")},
	}
	want := `folder.yaml:1:1: not a regular file but a folder; write the content into the file itself
large.yaml:1:1: the file has 1048577 bytes, and at most 1048576 are read; an environment's files are short texts
latin1.yaml:2:10: this byte is not UTF-8; save the file as UTF-8 text
link.yaml:1:1: not a regular file but a symbolic link; write the content into the file itself
pipe.yaml:1:1: not a regular file but a device, pipe or socket; write the content into the file itself
invalid: folder large latin1 link pipe
`
	if diff := cmp.Diff(want, told(desired.Load(tree, testKinds()))); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestMissingEnvironment(t *testing.T) {
	snap := desired.Load(fstest.MapFS{"shop.yaml": {Data: []byte(minimal("shop"))}}, testKinds())
	want := "environment.yaml:1:1: the file is missing; it says which account and region the environment is\nno environment\nvalid: shop\n"
	if diff := cmp.Diff(want, told(snap)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func minimal(name string) string {
	return "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: " + name + "}\nspec:\n  stack: " + name +
		"-dev\n  containers:\n    App:\n      image: {tag: 1a2b3c4}\n"
}
