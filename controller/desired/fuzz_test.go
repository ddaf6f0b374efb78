package desired_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/strategy"
)

// errorsInside holds each error to a place in the file, and to a message.
func errorsInside(t *testing.T, file string, data []byte, errs []desired.Error) {
	t.Helper()
	lines := 1
	for _, end := range []string{"\n", "\r", "\u2028", "\u2029", "\u0085"} {
		lines += strings.Count(string(data), end)
	}
	for _, e := range errs {
		if e.File != file || e.Line < 1 || e.Line > lines || e.Col < 1 || strings.TrimSpace(e.Message) == "" {
			t.Errorf("error outside of the file: %+v", e)
		}
	}
}

// addFiles adds the repository's own files and those of the archives of bad ones: the environments, or the services.
func addFiles(f *testing.F, environments bool) {
	f.Helper()
	own, _ := filepath.Glob("../../desired/*/*.yaml")
	for _, name := range own {
		if data, err := os.ReadFile(name); err == nil && (filepath.Base(name) == desired.EnvironmentFile) == environments {
			f.Add(data)
		}
	}
	archives, _ := filepath.Glob("testdata/bad/*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".yaml") && (filepath.Base(file.Name) == desired.EnvironmentFile) == environments {
				f.Add(file.Data)
			}
		}
	}
	if len(own) == 0 || len(archives) == 0 {
		f.Fatal("no files to begin with")
	}
}

// FuzzEnvironment: no input panics; an environment or errors come out, never both; each error stands inside the file; and what
// was read means the same when it is written and read again.
func FuzzEnvironment(f *testing.F) {
	addFiles(f, true)
	f.Add([]byte(goodEnvironment))
	f.Fuzz(func(t *testing.T, data []byte) {
		env, errs := desired.ParseEnvironment(desired.EnvironmentFile, data)
		if (env == nil) != (len(errs) > 0) {
			t.Fatalf("environment %v, errors %v", env, errs)
		}
		errorsInside(t, desired.EnvironmentFile, data, errs)
		if env == nil {
			return
		}
		text, err := yaml.Marshal(env)
		if err != nil {
			t.Fatal(err)
		}
		again, errs := desired.ParseEnvironment(desired.EnvironmentFile, text)
		if len(errs) > 0 || !cmp.Equal(env, again) {
			t.Errorf("written and read again: %v %s", errs, cmp.Diff(env, again))
		}
	})
}

// FuzzService is FuzzParse with the checks and strategies that files really name, under any environment.
func FuzzService(f *testing.F) {
	addFiles(f, false)
	kinds := desired.Kinds{Strategies: strategy.Kinds(), Checks: health.Kinds()}
	env, errs := desired.ParseEnvironment(desired.EnvironmentFile, []byte(goodEnvironment))
	if len(errs) > 0 {
		f.Fatal(errs)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, env := range []*desired.Environment{nil, env} {
			svc, errs := desired.Parse("order-processing.yaml", data, env, kinds)
			if (svc == nil) != (len(errs) > 0) {
				t.Fatalf("service %v, errors %v", svc, errs)
			}
			errorsInside(t, "order-processing.yaml", data, errs)
			if svc == nil {
				continue
			}
			if _, err := strategy.For(svc.Spec); err != nil {
				t.Errorf("a strategy that was accepted cannot be built: %v", err)
			}
			if _, err := health.For(svc.Spec); err != nil {
				t.Errorf("checks that were accepted cannot be built: %v", err)
			}
			text, err := yaml.Marshal(svc)
			if err != nil {
				t.Fatal(err)
			}
			again, errs := desired.Parse("order-processing.yaml", text, env, kinds)
			if len(errs) > 0 || !cmp.Equal(svc, again) {
				t.Errorf("written and read again: %v %s", errs, cmp.Diff(svc, again))
			}
		}
	})
}

// FuzzSetImage: of a valid file either the one container has the new image and all else is as it was, or it is an error in the file and
// nothing else.
func FuzzSetImage(f *testing.F) {
	addFiles(f, false)
	const head = "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: order-processing}\nspec:\n  stack: a\n  containers:\n"
	f.Add([]byte(head + "    app: {image: &i {tag: &t 1a2b3c4}, env: {V: *t, W: \"a\u2028b\"}}\n    side: {image: *i}\n"))
	f.Add([]byte("\ufeff" + head + "    app:\n      env: {W: 'a\r b'}\n      image:\n        tag: &t '1a2b3c4'\r        # why\n"))
	kinds := desired.Kinds{Strategies: strategy.Kinds(), Checks: health.Kinds()}
	f.Fuzz(func(t *testing.T, data []byte) {
		before, errs := desired.Parse("order-processing.yaml", data, nil, kinds)
		if len(errs) > 0 {
			return
		}
		for name, c := range before.Spec.Containers {
			image := desired.Image{Tag: "2b3c4d5", Digest: "sha256:" + strings.Repeat("2", 64)}
			edited, err := desired.SetImage(data, name, image)
			if err != nil {
				at, ok := err.(desired.Error)
				if at.File = "order-processing.yaml"; !ok {
					t.Errorf("error %v", err)
				}
				errorsInside(t, at.File, data, []desired.Error{at})
				continue
			}
			after, errs := desired.Parse("order-processing.yaml", edited, nil, kinds)
			if len(errs) > 0 || after.Spec.Containers[name].Image != image {
				t.Fatalf("%s: %v\n%s", name, errs, edited)
			}
			is := after.Spec.Containers[name]
			is.Image = c.Image
			after.Spec.Containers[name] = is
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("more than the image of %s changed:\n%s", name, diff)
			}
		}
	})
}
