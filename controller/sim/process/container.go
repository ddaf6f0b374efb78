package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/sim/ecs"
)

const (
	// maxLine is where the awslogs driver cuts a line in two.
	// https://docs.docker.com/engine/logging/drivers/awslogs/
	maxLine = 256 << 10
	// afterExit is how long output is still read from what a program left behind.
	afterExit = 2 * time.Second
)

// container is one process and what it starts.
type container struct {
	spec   ecs.ContainerSpec
	report func(ecs.Report)
	argv   []string
	files  map[string]string
	env    []string
	dir    string

	mu       sync.Mutex
	group    int // the process group, 0 before the start and after the end
	stopping bool
	kill     *time.Timer
	ended    chan struct{} // closed when the process is gone
}

// start runs the command. The report of its exit comes from a goroutine that running waits for.
func (c *container) start(running *sync.WaitGroup) error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.Stdout, cmd.Stderr = write, write
	cmd.SysProcAttr = ownGroup()
	err = cmd.Start()
	if closeErr := write.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = read.Close() // nothing was written to it
		return err
	}
	c.mu.Lock()
	c.group, c.ended = cmd.Process.Pid, make(chan struct{})
	c.mu.Unlock()

	copied := make(chan struct{})
	go func() {
		defer close(copied)
		c.copyLines(read)
	}()
	checks, stopChecks := context.WithCancel(context.Background())
	if c.spec.HealthCheck != nil {
		running.Go(func() { c.watchHealth(checks) })
	}
	running.Go(func() {
		code := exitCode(cmd.Wait())
		stopChecks()
		c.over()
		// A child that outlived its group's leader holds the pipe open only if it left the group.
		_ = read.SetReadDeadline(time.Now().Add(afterExit))
		<-copied
		_ = read.Close() // read to the end, or given up
		c.report(ecs.Report{Container: c.spec.Name, Exit: &ecs.Exit{Code: code}})
	})
	return nil
}

// over kills what the process left behind in its group.
func (c *container) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = syscall.Kill(-c.group, syscall.SIGKILL) // mostly there is nobody any more
	c.group = 0
	close(c.ended)
	if c.kill != nil {
		c.kill.Stop()
	}
}

// exitCode is 128+n for a death by signal n, as ECS shows it.
func exitCode(err error) int32 {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return 255 // the wait itself failed: what became of the process is not known
		}
		return 0
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return int32(128 + ws.Signal())
	}
	return int32(exit.ExitCode())
}

func (c *container) copyLines(r io.Reader) {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, _, err := in.ReadLine()
		if err != nil {
			return
		}
		c.spec.Log(time.Now(), string(line))
	}
}

// stop is SIGTERM, and SIGKILL after the stop timeout. Again it does nothing.
func (c *container) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping || c.group == 0 {
		return
	}
	c.stopping = true
	_ = syscall.Kill(-c.group, syscall.SIGTERM) // it may have ended by itself just now
	c.kill = time.AfterFunc(c.spec.StopTimeout, c.signalKill)
}

func (c *container) signalKill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.group != 0 {
		_ = syscall.Kill(-c.group, syscall.SIGKILL) // as above
	}
}

// watchHealth runs the container's health check as Docker does: failures count after the start period.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
func (c *container) watchHealth(ctx context.Context) {
	check := c.spec.HealthCheck
	began, failures, told := time.Now(), int32(0), types.HealthStatus("")
	every := time.NewTicker(check.Interval)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		status := told
		switch err := c.runCheck(ctx, check); {
		case ctx.Err() != nil:
			return
		case err == nil:
			failures, status = 0, types.HealthStatusHealthy
		case time.Since(began) > check.StartPeriod || told == types.HealthStatusHealthy:
			if failures++; failures >= check.Retries {
				status = types.HealthStatusUnhealthy
			}
		}
		if status != told {
			told = status
			c.report(ecs.Report{Container: c.spec.Name, Health: status})
		}
	}
}

func (c *container) runCheck(ctx context.Context, check *ecs.HealthCheck) error {
	ctx, cancel := context.WithTimeout(ctx, check.Timeout)
	defer cancel()
	argv := []string{"/bin/sh", "-c"}
	switch {
	case len(check.Command) > 1 && check.Command[0] == "CMD-SHELL":
		argv = append(argv, check.Command[1])
	case len(check.Command) > 1 && check.Command[0] == "CMD":
		var err error
		if argv, err = mapped(c.files, check.Command[1:]); err != nil {
			return err
		}
	default:
		return fmt.Errorf("health check %q begins with neither CMD nor CMD-SHELL", check.Command)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd.Run()
}
