package images

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// want is what has to be true of an image.
type want struct {
	title           string
	entrypoint, cmd []string
	health          []string
	most            int64 // bytes of its layers: about a quarter above what they were when this was written
}

var wanted = map[string]want{
	"worker": {title: "order-processing", cmd: []string{"/worker", "serve"}, health: []string{"CMD", "/worker", "health"}, most: 24 << 20},
	"controller": {title: "controller", entrypoint: []string{"/controller"}, cmd: []string{"--help"}, health: []string{"CMD", "/controller", "health"},
		most: 38 << 20},
}

// TestImages builds both images twice as `make images` does, and looks at what would be pushed, and runs it.
func TestImages(t *testing.T) {
	need(t)
	here := t.TempDir()
	tree, revision := newTree(t)
	var building sync.WaitGroup
	var errHere error
	building.Go(func() { errHere = buildHere(tree, revision, here) }) // while Debian is being fetched
	w := newWorkshop(t)
	building.Wait()
	if errHere != nil {
		t.Fatal(errHere)
	}

	t.Run("refuses", w.refusals)
	t.Run("context", w.context)
	first := w.images(tree, "")
	again, _ := newTree(t) // the same commit in another folder, at another time
	second := w.images(again, "--no-cache")
	for _, name := range names {
		i, twin := first[name], second[name]
		if i == nil || twin == nil {
			t.Fatalf("make images built no %s", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Run("config", func(t *testing.T) { i.checkConfig(t, wanted[name], revision) })
			t.Run("content", func(t *testing.T) { i.checkContent(t, "/"+name, wanted[name].most) })
			t.Run("reproducible", func(t *testing.T) { i.checkTwins(t, twin, "/"+name, here) })
		})
	}
	t.Run("archive", func(t *testing.T) { w.archive(t, tree, first["worker"]) })
	t.Run("worker runs", func(t *testing.T) { runWorker(t, first["worker"], revision) })
	t.Run("controller runs", func(t *testing.T) { runController(t, first["controller"], tree) })
}

// images makes both and reads them.
func (w *workshop) images(tree, more string) map[string]*image {
	w.t.Helper()
	out, err := w.build(tree, "images", more)
	if err != nil {
		w.t.Fatalf("make images: %v", err)
	}
	all := make(map[string]*image)
	for line := range strings.Lines(out) {
		name, id, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			w.t.Fatalf("make images prints %q, want NAME ID", line)
		}
		all[name] = w.export(id)
	}
	return all
}

// refusals: a base image that could be moved, a commit that the label would not be true of.
func (w *workshop) refusals(t *testing.T) {
	tree, _ := newTree(t)
	tests := []struct{ name, target, more, want string }{
		{"builder by tag", "image-worker", "--build-arg GO_IMAGE=localhost/golang:latest", "GO_IMAGE must end in @sha256:…, is localhost/golang:latest"},
		{"runtime by tag", "image-controller", "--build-arg RUNTIME_IMAGE=localhost/golang:latest", "RUNTIME_IMAGE must end in @sha256:…"},
		{"no revision", "image-worker", "--build-arg REVISION=", "REVISION must be the commit's hash"},
		{"a branch as revision", "image-controller", "--build-arg REVISION=main", "REVISION must be the commit's hash"},
		{"no time", "image-worker", "--build-arg CREATED=", "CREATED must be the commit's time"},
		{"the time of another zone", "image-controller", "--build-arg CREATED=2026-03-01T12:00:00+01:00", "CREATED must be the commit's time"},
		{"a name without Dockerfile", "image-nothing", "", "Dockerfile.nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, err := w.build(tree, tt.target, tt.more); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q; it prints %q", err, tt.want, out)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(tree, "worker", "new.go"), []byte("package main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := w.build(tree, "images", ""); err == nil || !strings.Contains(err.Error(), "differs from the commit") {
		t.Errorf("with a change that is not committed: error %v; it prints %q", err, out)
	}
}

// context sends the whole build context into an image, and looks at what came.
func (w *workshop) context(t *testing.T) {
	tree, _ := newTree(t)
	all := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(all, []byte("FROM scratch\nCOPY . /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	id := filepath.Join(t.TempDir(), "id")
	w.buildah("build", "-f", all, "--iidfile", id, tree)
	i := w.export(read(t, id))
	may := regexp.MustCompile(`^/(go\.mod|go\.sum|(worker|controller)(/.+)?)$`)
	size := int64(0)
	for path, e := range i.files {
		size += e.Size
		if path != "/" && !may.MatchString(path) || strings.HasSuffix(path, "_test.go") || bytes.Contains(e.content, []byte(planted)) {
			t.Errorf("%s is in the build's context", path)
		}
	}
	if len(i.files) < 100 {
		t.Errorf("only %d files are in the build's context: %v", len(i.files), i.paths())
	}
	const most = 3 << 20
	if size > most {
		t.Errorf("the build's context has %d bytes, at most %d were meant", size, int64(most))
	}
}

// archive makes the file that the workflows scan and push, which has to be the same image.
func (w *workshop) archive(t *testing.T, tree string, i *image) {
	file := filepath.Join(t.TempDir(), "image.tar")
	if out, err := w.script(tree, "", "pipeline/image", "worker", file); err != nil || out != "" {
		t.Fatalf("pipeline/image: %v; it prints %q", err, out)
	}
	got := &image{files: make(map[string]*entry)}
	if err := got.addLayer([]byte(read(t, file))); err != nil {
		t.Fatal(err)
	}
	var manifest []struct{ Config string }
	if err := json.Unmarshal(got.files["/manifest.json"].content, &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("%v: %s", err, got.files["/manifest.json"].content)
	}
	if err := json.Unmarshal(got.files["/"+manifest[0].Config].content, got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.RootFS.DiffIDs, i.RootFS.DiffIDs) || !slices.Equal(got.Config.Healthcheck.Test, i.Config.Healthcheck.Test) {
		t.Errorf("the archive has layers %v and health check %q, the image %v and %q", got.RootFS.DiffIDs, got.Config.Healthcheck.Test,
			i.RootFS.DiffIDs, i.Config.Healthcheck.Test)
	}
}

func (i *image) checkConfig(t *testing.T, want want, revision string) {
	c := i.Config
	if !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(c.User) {
		t.Errorf("user %q; want numbers, and not root's", c.User)
	}
	if !slices.Equal(c.Entrypoint, want.entrypoint) || !slices.Equal(c.Cmd, want.cmd) {
		t.Errorf("entry point %q and command %q; want %q and %q", c.Entrypoint, c.Cmd, want.entrypoint, want.cmd)
	}
	if h := c.Healthcheck; !slices.Equal(h.Test, want.health) || h.Timeout > h.Interval || h.Timeout < 4*time.Second || h.StartPeriod == 0 || h.Retries < 2 {
		t.Errorf("health check %+v, want %q, with more time than the program's own 3 s", h, want.health)
	}
	for key, value := range map[string]string{"title": want.title, "revision": revision, "created": created, "source": "https://github.com/canteen/deploy"} {
		if got := c.Labels["org.opencontainers.image."+key]; got != value {
			t.Errorf("label %s is %q, want %q", key, got, value)
		}
	}
	if at := i.Created.UTC().Format(time.RFC3339); at != created {
		t.Errorf("the image says that it was made at %s, want the commit's time %s", at, created)
	}
	if bytes.Contains(i.config, []byte(planted)) {
		t.Errorf("a secret of the builder's environment is in the configuration:\n%s", i.config)
	}
}

// checkContent: one static program that its user cannot change. So there is no shell, no package, no .git and no key.
func (i *image) checkContent(t *testing.T, program string, most int64) {
	if paths := i.paths(); !slices.Equal(paths, []string{program}) {
		t.Fatalf("on an empty base image there are %q, want nothing but %s", paths, program)
	}
	if i.size > most {
		t.Errorf("the layers have %d bytes, at most %d were meant", i.size, most)
	}
	e := i.files[program]
	if e.Uid != 0 || e.FileInfo().Mode() != 0o755 {
		t.Errorf("%s belongs to %d and has mode %o; want root's, and 755", program, e.Uid, e.Mode)
	}
	for _, layer := range i.layers {
		if bytes.Contains(layer, []byte(planted)) {
			t.Error("a layer has a secret of the builder's environment or folder in it")
		}
	}
	file, err := elf.NewFile(bytes.NewReader(e.content))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program wants a dynamic linker; distroless/static has none")
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(e.content))
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("it was built with %v", settings)
	}
}

// checkTwins compares with a second build, and with the binary that the same command made outside of any container.
func (i *image) checkTwins(t *testing.T, twin *image, program, here string) {
	outside, err := os.ReadFile(filepath.Join(here, program))
	if err != nil {
		t.Fatal(err)
	}
	inside, again := i.files[program].content, twin.files[program].content
	if a, b, c := sha256.Sum256(inside), sha256.Sum256(again), sha256.Sum256(outside); a != b || a != c {
		t.Errorf("%s differs: %x in the image, %x in one built again, %x built outside with the same command", program, a, b, c)
	}
	if !slices.Equal(i.RootFS.DiffIDs, twin.RootFS.DiffIDs) {
		t.Errorf("layers %v and, built again, %v", i.RootFS.DiffIDs, twin.RootFS.DiffIDs)
	}
	if a, b := i.comparable(t), twin.comparable(t); a != b {
		t.Errorf("configuration\n%s\nand, built again,\n%s", a, b)
	}
}

// comparable is the configuration without what buildah draws by lot: the container that it was built in.
func (i *image) comparable(t *testing.T) string {
	var config map[string]any
	if err := json.Unmarshal(i.config, &config); err != nil {
		t.Fatal(err)
	}
	delete(config, "container")
	for _, part := range []string{"config", "container_config"} {
		if inner, ok := config[part].(map[string]any); ok {
			delete(inner, "Hostname")
			delete(inner, "Image")
		}
	}
	text, err := json.MarshalIndent(config, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
