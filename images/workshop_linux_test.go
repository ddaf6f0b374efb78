package images

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// workshop is buildah with a storage of its own, without any network, and with one image in it that has a shell, and Go by a
// mount. Nothing of it is left after the test.
type workshop struct {
	t   *testing.T
	dir string
	env []string // buildah's settings
	// golang is the builder's image, by digest.
	golang string
}

// planted is in the environment of every build and in files beside the code. It must be in no image.
const planted = "planted-secret-6b1f"

// need skips where the images cannot be built at all. Root in a pipeline has no excuse: there .ci/run installs what is needed.
func need(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the images, which takes minutes")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: for buildah's chroot isolation, and to run what was built as another user on another root")
	}
	give := t.Skipf
	if os.Getenv("CI") != "" {
		give = t.Fatalf
	}
	for _, tool := range []string{"buildah", "git", "make", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			give("%v (Debian: apt-get install buildah debootstrap git make)", err)
		}
	}
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, dir: t.TempDir()}
	w.fetchModules()
	w.openStorage()
	w.makeBuilder()
	return w
}

// fetchModules fills this machine's module cache, which the builds mount and cannot fill for want of a network. A machine that has
// only compiled the project lacks the modules that other systems need, and the Dockerfiles ask for all of them.
func (w *workshop) fetchModules() {
	w.t.Helper()
	if out, err := exec.Command("go", "mod", "download").CombinedOutput(); err != nil {
		w.t.Fatalf("go mod download: %v\n%s", err, tail(out))
	}
}

// openStorage takes the overlay driver, or the one that only copies where this machine's file system cannot do that.
func (w *workshop) openStorage() {
	w.t.Helper()
	for _, name := range []string{"store", "run", "tmp"} {
		w.must(os.Mkdir(filepath.Join(w.dir, name), 0o700))
	}
	for _, driver := range []string{"overlay", "vfs"} {
		conf := filepath.Join(w.dir, "storage.conf")
		w.must(os.WriteFile(conf, fmt.Appendf(nil, "[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n",
			driver, filepath.Join(w.dir, "store"), filepath.Join(w.dir, "run")), 0o600))
		w.env = []string{"CONTAINERS_STORAGE_CONF=" + conf, "TMPDIR=" + filepath.Join(w.dir, "tmp"), "BUILDAH_ISOLATION=chroot", "PATH=" + os.Getenv("PATH")}
		out, err := w.command("", "buildah", "from", "--name", "empty", "scratch")
		if err == nil {
			return
		}
		w.t.Logf("storage driver %s: %v\n%s", driver, err, out)
	}
	w.t.Fatal("buildah cannot keep images on this machine")
}

// makeBuilder makes the image that stands for golang:…-bookworm: Debian, with the paths that the real one has. Go itself and its
// modules are mounted into the builds.
func (w *workshop) makeBuilder() {
	w.t.Helper()
	root := filepath.Join(w.dir, "debian")
	if out, err := exec.Command("debootstrap", "--variant=minbase", "bookworm", root).CombinedOutput(); err != nil {
		// No mirror within reach, say. The Dockerfiles need nothing of the builder but a shell.
		w.t.Logf("debootstrap: %v\n%s\nthe builder gets this machine's shell instead", err, tail(out))
		root = filepath.Join(w.dir, "shell")
		w.must(copyShell(root))
	}
	w.buildah("add", "empty", root)
	w.buildah("config", "--env", "PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--env", "GOPATH=/go", "empty")
	w.buildah("commit", "empty", "localhost/golang")
	digest := w.buildah("images", "--format", "{{.Digest}}", "localhost/golang")
	w.golang = "localhost/golang@" + strings.TrimSpace(digest)
}

// copyShell makes a file tree of /bin/sh and the libraries that it needs.
func copyShell(root string) error {
	out, err := exec.Command("ldd", "/bin/sh").Output()
	if err != nil {
		return fmt.Errorf("ldd /bin/sh: %w", err)
	}
	files := []string{"/bin/sh"}
	for _, word := range strings.Fields(string(out)) {
		if filepath.IsAbs(word) {
			files = append(files, word)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "tmp"), 0o777); err != nil {
		return err
	}
	for _, file := range files {
		if err := copyFile(file, filepath.Join(root, file)); err != nil {
			return err
		}
	}
	return nil
}

// arguments are the arguments of every build on this machine: without registries, on the builder and on nothing.
func (w *workshop) arguments() string {
	return strings.Join([]string{
		"--pull-never",
		"--build-arg GO_IMAGE=" + w.golang, "--build-arg RUNTIME_IMAGE=scratch",
		"--volume " + goEnv(w.t, "GOROOT") + ":/usr/local/go:ro",
		"--volume " + goEnv(w.t, "GOMODCACHE") + ":/go/pkg/mod:ro",
	}, " ")
}

// build makes a target of the Makefile in a tree of the project, and returns what it prints on standard output.
func (w *workshop) build(tree, target, more string) (string, error) {
	w.t.Helper()
	return w.script(tree, more, "make", "--no-print-directory", "--silent", target)
}

// script runs one of the project's scripts that build images.
func (w *workshop) script(tree, more string, args ...string) (string, error) {
	w.t.Helper()
	return w.command(tree, "env", append([]string{"IMAGE_TOOL=buildah", "IMAGE_ARGS=" + w.arguments() + " " + more, "AWS_SECRET_ACCESS_KEY=" + planted,
		"GIT_CONFIG_GLOBAL=/dev/null", "HOME=" + w.dir}, args...)...)
}

func (w *workshop) buildah(args ...string) string {
	w.t.Helper()
	out, err := w.command("", "buildah", args...)
	if err != nil {
		w.t.Fatalf("buildah %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// command runs a program where there is no network at all, and where what it mounts and starts is gone when it ends, or the test
// does. The error has the end of what it wrote on standard error.
func (w *workshop) command(dir, name string, args ...string) (string, error) {
	cmd := exec.Command("unshare", append([]string{"--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child", name}, args...)...)
	cmd.Dir, cmd.Env = dir, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w\n%s", err, tail(errs.Bytes()))
	}
	return out.String(), err
}

func (w *workshop) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// tail is the end of what a program wrote.
func tail(out []byte) []byte {
	const most = 3000
	return out[max(0, len(out)-most):]
}
