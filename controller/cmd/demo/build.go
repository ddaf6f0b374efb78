package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed versions/crash.go.txt
var crashSource []byte

//go:embed versions/panic.go.txt
var panicSource []byte

//go:embed versions/00005_diets.sql
var dietsMigration []byte

//go:embed versions/00006_broken.sql
var brokenMigration []byte

//go:embed versions/00006_seasons.sql
var seasonsMigration []byte

// version is one version of the worker, as a developer would have pushed it.
type version struct {
	tag     string // short SHA
	subject string // of its commit
	binary  string
	adds    map[string][]byte // files that it adds to the repository's worker
}

const migrationsFolder = "worker/store/migrations/sqlite/"

// The versions of the story. They are built from the worker of this checkout; all but the first add files to it. The first
// brings the schema of this checkout, the second expands it, and the last expands it again.
func versions() map[string]*version {
	after := func(path string, content []byte) map[string][]byte {
		return map[string][]byte{migrationsFolder + "00005_diets.sql": dietsMigration, path: content}
	}
	return map[string]*version{
		"first":     {tag: "3f9c2d1", subject: "worker: take orders"},
		"better":    {tag: "8b04e7a", subject: "worker: orders may name a diet", adds: after(migrationsFolder+"00005_diets.sql", dietsMigration)},
		"crash":     {tag: "c51d9e6", subject: "worker: read the menu from MENU_URL", adds: after("worker/menu_url.go", crashSource)},
		"panic":     {tag: "e27ab40", subject: "worker: count soups in the background", adds: after("worker/soups.go", panicSource)},
		"migration": {tag: "f60b8c3", subject: "worker: menus have seasons", adds: after(migrationsFolder+"00006_seasons.sql", brokenMigration)},
		"healing":   {tag: "a9d7713", subject: "worker: menus have seasons, for real", adds: after(migrationsFolder+"00006_seasons.sql", seasonsMigration)},
	}
}

// builder compiles with the go command.
type builder struct {
	root string // of the checkout
	dir  string // for what is built
}

// newBuilder finds the checkout that the demo was started in.
func newBuilder(ctx context.Context, dir string) (builder, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return builder{}, fmt.Errorf("find the module: %w; run the demo inside the checkout, with the go command on the PATH", err)
	}
	return builder{root: strings.TrimSpace(string(out)), dir: dir}, nil
}

// build compiles one program, with files added to the source where there are some.
func (b builder) build(ctx context.Context, name, pkg, ldflags string, adds map[string][]byte) (string, error) {
	out := filepath.Join(b.dir, name)
	args := []string{"build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", ldflags, "-o", out}
	if len(adds) > 0 {
		overlay, err := b.overlay(name, adds)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, stderr.String())
	}
	return out, nil
}

func (b builder) overlay(name string, adds map[string][]byte) (string, error) {
	replace := map[string]string{}
	for path, content := range adds {
		file := filepath.Join(b.dir, name+"-"+filepath.Base(path))
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return "", fmt.Errorf("write a version's source: %w", err)
		}
		replace[filepath.Join(b.root, path)] = file
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.dir, name+"-overlay.json")
	return file, os.WriteFile(file, data, 0o600)
}

// buildAll compiles the controller and every version of the worker.
func (b builder) buildAll(ctx context.Context, say func(string, ...any), all map[string]*version) (controller string, err error) {
	start := time.Now()
	say("Compiling the controller and %d versions of the worker (the first time this takes a minute or two) …", len(all))
	controller, err = b.build(ctx, "controller", "./controller/cmd/controller", "-s -w -X main.version=demo", nil)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"first", "better", "crash", "panic", "migration", "healing"} {
		v := all[name]
		if v.binary, err = b.build(ctx, "worker-"+name, "./worker", "-s -w -X main.revision="+v.tag, v.adds); err != nil {
			return "", err
		}
	}
	say("Compiled in %s. What follows takes about two minutes.", time.Since(start).Round(time.Second))
	return controller, nil
}
