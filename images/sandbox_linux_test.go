package images

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// spec is what a container runtime is told: Fargate with readonlyRootFilesystem, or docker run --read-only --cap-drop ALL
// --security-opt no-new-privileges. The network is this machine's.
type spec struct {
	Root   string
	Mounts []mount
	User   string // uid:gid
	Args   []string
	Env    []string
	Dir    string
}

// mount shows a folder of this machine in the container.
type mount struct {
	From, To string
	Write    bool
}

// asSandbox in the environment makes the test binary become the program in the sandbox that it describes.
const asSandbox = "IMAGES_SANDBOX"

func TestMain(m *testing.M) {
	if text := os.Getenv(asSandbox); text != "" {
		fmt.Fprintln(os.Stderr, "sandbox:", enter(text)) // returns only where it failed
		os.Exit(125)
	}
	os.Exit(m.Run())
}

// enter makes this process the one that the text describes. It is in a mount namespace of its own already.
func enter(text string) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	if err := s.mountAll(); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := errors.Join(syscall.Chroot(s.Root), syscall.Chdir(s.Dir)); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := os.WriteFile("/written", nil, 0o600); !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("even root must not write to the root; it got %v", err)
	}
	if err := s.becomeUser(); err != nil {
		return err
	}
	return fmt.Errorf("start %s: %w", s.Args[0], syscall.Exec(s.Args[0], s.Args, s.Env))
}

func (s spec) mountAll() error {
	bind := func(from, to string, write bool) error {
		if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", from, to, err)
		}
		flags := uintptr(syscall.MS_REMOUNT | syscall.MS_BIND | syscall.MS_NOSUID | syscall.MS_NODEV)
		if !write {
			flags |= syscall.MS_RDONLY
		}
		if err := syscall.Mount("", to, "", flags, ""); err != nil {
			return fmt.Errorf("mount %s again, with its flags: %w", to, err)
		}
		return nil
	}
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := bind(s.Root, s.Root, false); err != nil {
		return err
	}
	for _, m := range s.Mounts {
		if err := bind(m.From, filepath.Join(s.Root, m.To), m.Write); err != nil {
			return err
		}
	}
	if err := syscall.Mount("proc", filepath.Join(s.Root, "proc"), "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// becomeUser gives up every capability, for good, and root.
func (s spec) becomeUser() error {
	const (
		capBoundingDrop = 24 // PR_CAPBSET_DROP
		noNewPrivileges = 38 // PR_SET_NO_NEW_PRIVS
	)
	for capability := uintptr(0); ; capability++ {
		if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, capBoundingDrop, capability, 0); err != 0 {
			break // there is no such capability: that was all
		}
	}
	if _, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0); err != 0 {
		return fmt.Errorf("refuse new privileges: %w", err)
	}
	user, group, _ := strings.Cut(s.User, ":")
	uid, errUID := strconv.Atoi(user)
	gid, errGID := strconv.Atoi(group)
	if err := errors.Join(errUID, errGID); err != nil {
		return fmt.Errorf("user %q: %w", s.User, err)
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("become %s: %w", s.User, err)
	}
	return nil
}

// container is an image that can be run, again and again.
type container struct {
	t    *testing.T
	root string
	spec spec // but for its arguments
}

// container unpacks the image. The folders where something is mounted are the runtime's, as everywhere.
func (i *image) container(t *testing.T, mounts ...mount) *container {
	t.Helper()
	root := t.TempDir()
	if err := i.unpack(root); err != nil {
		t.Fatal(err)
	}
	for _, m := range append(mounts, mount{To: "/proc"}) {
		if err := os.MkdirAll(filepath.Join(root, m.To), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &container{t: t, root: root, spec: spec{Root: root, Mounts: mounts, User: i.Config.User, Env: i.Config.Env, Dir: i.Config.WorkingDir}}
}

// process is one program in a container.
type process struct {
	*exec.Cmd
	out output
}

// output takes what a process writes while others read it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs a program in the container until it ends, or the test does.
func (c *container) start(env []string, args ...string) *process {
	c.t.Helper()
	s := c.spec
	s.Args, s.Env = args, append(append([]string{}, s.Env...), env...)
	text, err := json.Marshal(s)
	if err != nil {
		c.t.Fatal(err)
	}
	p := &process{Cmd: exec.Command("/proc/self/exe")}
	p.Env = []string{asSandbox + "=" + string(text)}
	p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	p.Stdout, p.Stderr = &p.out, &p.out
	if err := p.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	return p
}

// run runs a program in the container to its end.
func (c *container) run(env []string, args ...string) (code int, out string) {
	c.t.Helper()
	p := c.start(env, args...)
	overdue := time.AfterFunc(time.Minute, func() { _ = p.Process.Kill() })
	defer overdue.Stop()
	err := p.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), p.out.String()
}
