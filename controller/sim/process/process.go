// Package process runs tasks as real processes of this machine. It is the ecs.Runner of demonstrations: real
// commands with their own environment, directory, port, output, exit code and signals.
//
// What a program meets: the environment that its image and its task definition say, secrets included, and
// from this machine only PATH, HOME and TMPDIR (both of the last two are the task's own directory, which is
// its working directory too). PORT is the port to listen on,
// on 127.0.0.1: it stands for the container's first port. Each container port n has PORT_n as well. The API
// shows the container port only. A task definition's working directory is a folder inside the task's.
package process

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// Spec is what an image is made of. It is the ecs.ImageSpec of images that run as processes.
type Spec struct {
	// Files maps the names that the image's commands begin with, such as /worker or sh, to executables of
	// this machine. Nothing else can be run.
	Files      map[string]string `json:"files"`
	EntryPoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
}

// Runner runs tasks. It is an ecs.Runner.
type Runner struct {
	dir string // tasks' directories are in it

	mu     sync.Mutex
	tasks  map[*task]bool
	closed bool
}

// New makes a runner that works in a new folder under parent, the system's temporary folder where parent is
// empty. Close must be called.
func New(parent string) (*Runner, error) {
	dir, err := os.MkdirTemp(parent, "tasks-")
	if err != nil {
		return nil, fmt.Errorf("folder for tasks: %w", err)
	}
	return &Runner{dir: dir, tasks: map[*task]bool{}}, nil
}

// Close kills everything that runs, waits for its end and removes the folder.
func (r *Runner) Close() error {
	r.mu.Lock()
	r.closed = true
	left := slices.Collect(maps.Keys(r.tasks))
	r.mu.Unlock()
	for _, t := range left {
		t.kill()
		t.ended.Wait()
	}
	return os.RemoveAll(r.dir)
}

// task is one task's containers.
type task struct {
	runner     *Runner
	dir        string
	containers []*container
	addresses  map[int32]string // container port → host:port
	ended      sync.WaitGroup   // containers that run
}

// Start starts all containers of a task. Every container's Spec must be a *Spec.
func (r *Runner) Start(l ecs.Launch, report func(ecs.Report)) (ecs.Process, error) {
	t := &task{runner: r, dir: filepath.Join(r.dir, l.TaskID), addresses: map[int32]string{}}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return nil, cannotStart(err)
	}
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.tasks[t] = true
	}
	r.mu.Unlock()
	if closed {
		return nil, cannotStart(os.ErrClosed)
	}
	err := t.start(l, report)
	if err != nil {
		t.kill()
	}
	go func() {
		t.ended.Wait()
		r.mu.Lock()
		delete(r.tasks, t)
		r.mu.Unlock()
		// What is left in the way goes with the runner's folder.
		_ = os.RemoveAll(t.dir)
	}()
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (t *task) start(l ecs.Launch, report func(ecs.Report)) error {
	for _, c := range l.Containers {
		spec, ok := c.Spec.(*Spec)
		if !ok {
			return cannotStart(fmt.Errorf("image %s has no process to run", c.Image))
		}
		ports, err := t.reserve(c.Ports)
		if err != nil {
			return cannotStart(err)
		}
		n := &container{spec: c, report: report, files: spec.Files, env: environment(spec, c, t.dir, ports), dir: t.dir}
		if c.WorkingDirectory != "" {
			n.dir = filepath.Join(t.dir, filepath.Clean("/"+c.WorkingDirectory))
			if err := os.MkdirAll(n.dir, 0o700); err != nil {
				return cannotStart(err)
			}
		}
		if n.argv, err = argv(spec, c); err != nil {
			return cannotStart(err)
		}
		t.containers = append(t.containers, n)
	}
	for _, c := range t.containers {
		if err := c.start(&t.ended); err != nil {
			return cannotStart(err)
		}
	}
	return nil
}

// reserve finds a free port for each container port. The program binds it a moment later, so another one may
// be quicker; the kernel hands out free ports in turns, which makes that unlikely.
func (t *task) reserve(containerPorts []int32) ([]string, error) {
	var vars []string
	for i, p := range containerPorts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		t.addresses[p] = l.Addr().String()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		if i == 0 {
			vars = append(vars, "PORT="+port)
		}
		vars = append(vars, "PORT_"+strconv.Itoa(int(p))+"="+port)
	}
	return vars, nil
}

// environment is the whole of it: nothing of the parent's but PATH.
func environment(s *Spec, c ecs.ContainerSpec, dir string, ports []string) []string {
	all := map[string]string{"PATH": os.Getenv("PATH"), "HOME": dir, "TMPDIR": dir}
	maps.Copy(all, s.Env)
	maps.Copy(all, c.Env)
	for _, p := range ports {
		k, v, _ := strings.Cut(p, "=")
		all[k] = v
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, k+"="+all[k])
	}
	return out
}

// argv is entry point and command as Docker joins them: a task definition's entry point drops the image's
// command. https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact
func argv(s *Spec, c ecs.ContainerSpec) ([]string, error) {
	entry, cmd := s.EntryPoint, s.Cmd
	if len(c.EntryPoint) > 0 {
		entry, cmd = c.EntryPoint, nil
	}
	if len(c.Command) > 0 {
		cmd = c.Command
	}
	all := slices.Concat(entry, cmd)
	if len(all) == 0 {
		return nil, fmt.Errorf("no command specified")
	}
	return mapped(s.Files, all)
}

func mapped(files map[string]string, argv []string) ([]string, error) {
	real, ok := files[argv[0]]
	if !ok {
		return nil, fmt.Errorf("exec: %q: executable file not found in $PATH (the image has %v)", argv[0], slices.Sorted(maps.Keys(files)))
	}
	return slices.Concat([]string{real}, argv[1:]), nil
}

// cannotStart is the text that becomes the task's stoppedReason.
func cannotStart(err error) error {
	return fmt.Errorf("CannotStartContainerError: Error response from daemon: failed to create task for container: "+
		"failed to start container process: %w", err)
}

// Stop asks every container to end.
func (t *task) Stop() {
	for _, c := range t.containers {
		c.stop()
	}
}

func (t *task) kill() {
	for _, c := range t.containers {
		c.signalKill()
	}
}

// Address is where the program listens for the container port, "" for a port that the task does not have.
func (t *task) Address(containerPort int32) string { return t.addresses[containerPort] }

// Probe is not asked where there is an address; without one the connection is refused.
func (t *task) Probe(int32) ecs.Answer { return ecs.Answer{} }
