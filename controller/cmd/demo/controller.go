package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// controller is the real program, as a process of its own. It is started again whenever it dies.
type controller struct {
	binary, dir, source, listen, endpoint string

	mu     sync.Mutex
	cmd    *exec.Cmd
	starts int
}

// stopFor is how long the controller may take to end.
const stopFor = 5 * time.Second

// run keeps the controller running until ctx ends, then asks it to stop.
func (c *controller) run(ctx context.Context) error {
	log, err := os.Create(filepath.Join(c.dir, "controller.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	for ctx.Err() == nil {
		began := time.Now()
		cmd := c.command(log)
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start the controller: %w", err)
		}
		c.mu.Lock()
		c.cmd, c.starts = cmd, c.starts+1
		c.mu.Unlock()
		stop := context.AfterFunc(ctx, func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			time.AfterFunc(stopFor, func() { _ = cmd.Process.Kill() })
		})
		err := cmd.Wait()
		stop()
		if ctx.Err() == nil && !killed(err) && time.Since(began) < time.Second {
			return fmt.Errorf("the controller ended by itself: %w; its log is %s", err, log.Name())
		}
	}
	return nil
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// command is what production runs, with a local endpoint in AWS's own variable. Nothing of this machine's environment
// reaches it.
func (c *controller) command(log io.Writer) *exec.Cmd {
	cmd := exec.Command(c.binary, "run", "--env", "dev", "--source", c.source, "--ledger", filepath.Join(c.dir, "ledger.db"),
		"--listen", c.listen, "--poll", "1s", "--watch", "500ms", "--resync", "1s", "--log", "json")
	cmd.Env = []string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=" + c.endpoint, "AWS_ACCESS_KEY_ID=" + controllerKey,
		"AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	return cmd
}

// kill ends the controller as a machine's death would.
func (c *controller) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil && c.cmd.Process != nil {
		_ = c.cmd.Process.Kill()
	}
}

// listenTo hands on what the controller tells, event by event, until ctx ends. It connects again whenever the controller
// was away; what was told meanwhile is not told again.
func (c *controller) listenTo(ctx context.Context, told func(status.Event)) {
	for ctx.Err() == nil {
		c.stream(ctx, told)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *controller) stream(ctx context.Context, told func(status.Event)) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.listen+"/api/v1/events", nil)
	if err != nil {
		return
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for kind := ""; lines.Scan(); {
		if k, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			kind = k
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		e := status.Event{}
		if json.Unmarshal([]byte(data), &e) == nil {
			e.Kind = status.EventKind(kind)
			told(e)
		}
	}
}

// look asks the controller's API about the service; an error means that it does not answer now.
func (c *controller) look(ctx context.Context) (server.Service, error) {
	var s server.Service
	err := c.get(ctx, "/api/v1/services/"+service, &s)
	return s, err
}

func (c *controller) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.listen+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}
