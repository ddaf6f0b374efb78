package images

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/dynamodb"
)

// command is what the container runs when nobody says otherwise.
func (i *image) command(args ...string) []string {
	if len(args) == 0 {
		args = i.Config.Cmd
	}
	return slices.Concat(i.Config.Entrypoint, args)
}

// health is what the runtime runs to know whether it is well.
func (i *image) health() []string { return i.Config.Healthcheck.Test[1:] }

// awaitHealthy runs the image's own health check, as Docker does, until it says that all is well.
func (c *container) awaitHealthy(i *image, p *process, env ...string) {
	c.t.Helper()
	last := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		code, out := c.run(env, i.health()...)
		if code == 0 {
			return
		}
		last = out
	}
	c.t.Fatalf("it never became healthy: %s; it wrote\n%s", last, p.out.String())
}

// confined fails unless the running program is nobody special: not root, without capabilities, on a root that it cannot write.
func (c *container) confined(p *process) {
	c.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", p.Process.Pid)
	status, mounts := read(c.t, proc+"status"), read(c.t, proc+"mountinfo")
	uid, gid, _ := strings.Cut(c.spec.User, ":")
	for _, line := range []string{
		fmt.Sprintf("Uid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s", uid), fmt.Sprintf("Gid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s", gid), "Groups:\t ",
		"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
	} {
		if !strings.Contains(status, line+"\n") {
			c.t.Errorf("the running program does not have %q:\n%s", line, status)
		}
	}
	if !regexp.MustCompile(`(?m)^\d+ \d+ \S+ \S+ / ro,`).MatchString(mounts) {
		c.t.Errorf("the root of the running program is not read-only:\n%s", mounts)
	}
}

// stop asks the program to end, as a runtime does, and wants it to end well.
func (c *container) stop(p *process) {
	c.t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	overdue := time.AfterFunc(15*time.Second, func() { _ = p.Process.Kill() })
	defer overdue.Stop()
	if err := p.Wait(); err != nil {
		c.t.Errorf("after SIGTERM: %v; it wrote\n%s", err, p.out.String())
	}
}

// runWorker migrates and serves on a volume, as the image's user, on a root that is read-only.
func runWorker(t *testing.T, i *image, revision string) {
	data := folderOf(t, i.Config.User)
	c := i.container(t, mount{From: data, To: "/data", Write: true})
	port := "PORT=" + freePort(t)

	if code, out := c.run([]string{port}, i.health()...); code != 1 || !strings.Contains(out, "connection refused") {
		t.Errorf("health says %d while nothing runs: %s", code, out)
	}
	// Without a volume there is nowhere to write: not in the working directory either.
	if code, out := c.run(nil, "/worker", "migrate"); code != 1 || !strings.Contains(out, "unable to open database file") {
		t.Errorf("migrate on a root that is read-only ends with %d: %s", code, out)
	}
	env := []string{"SQLITE_PATH=/data/orders.db", port, "DRAIN=0s"}
	if code, out := c.run(env, "/worker", "migrate"); code != 0 {
		t.Fatalf("migrate ends with %d: %s", code, out)
	}
	p := c.start(env, i.command()...)
	c.awaitHealthy(i, p, port)
	c.confined(p)
	if !strings.Contains(p.out.String(), `"version":"`+revision+`"`) {
		t.Errorf("it does not say that it was built of %s:\n%s", revision, p.out.String())
	}
	c.stop(p)
}

// runController validates files and then runs for an account, with its ledger in a table: it has nothing that it could write to.
func runController(t *testing.T, i *image, tree string) {
	c := i.container(t, mount{From: tree, To: "/project"})
	if code, out := c.run(nil, i.command()...); code != 0 || !strings.Contains(out, "validate") {
		t.Errorf("without arguments it ends with %d: %s", code, out)
	}
	if code, out := c.run(nil, i.command("validate", "/project/desired")...); code != 0 {
		t.Errorf("validate ends with %d: %s", code, out)
	}
	bad := i.container(t, mount{From: badFiles(t), To: "/project"})
	if code, out := bad.run(nil, i.command("validate", "/project/desired")...); code != 1 || !strings.Contains(out, "environment.yaml:5:12: spec.account is not an AWS account") {
		t.Errorf("validate of a wrong file ends with %d: %s", code, out)
	}

	address := "127.0.0.1:" + freePort(t)
	server := "DEPLOY_SERVER=http://" + address
	if code, out := c.run([]string{server}, i.health()...); code != 1 || !strings.Contains(out, "connection refused") {
		t.Errorf("health says %d while nothing runs: %s", code, out)
	}
	p := c.start([]string{"AWS_ENDPOINT_URL=" + account(t), "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=AKIALOCALACCOUNT", "AWS_SECRET_ACCESS_KEY=local"},
		i.command("run", "--env", "dev", "--source", "/project", "--ledger", "dynamodb:deploy-ledger", "--listen", address)...)
	c.awaitHealthy(i, p, server)
	c.confined(p)
	ready := time.Now().Add(30 * time.Second)
	for {
		code, out := c.run([]string{server}, i.command("status")...)
		if code == 0 && strings.Contains(out, "order-processing") {
			break
		}
		if time.Now().After(ready) {
			t.Fatalf("status ends with %d: %s; the controller wrote\n%s", code, out, p.out.String())
		}
		time.Sleep(200 * time.Millisecond)
	}
	c.stop(p)
}

// account is one on this machine with nothing in it but the ledger's table, behind an address.
func account(t *testing.T) string {
	t.Helper()
	a, err := sim.New(sim.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	a.DynamoDB.AddTable(dynamodb.Table{Name: "deploy-ledger", HashKey: "pk", SortKey: "sk"})
	l, err := sim.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// badFiles is a folder desired/ with a mistake in line 5, column 12.
func badFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "desired", "dev")
	text := "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  account: twelve\n  region: eu-central-1\n"
	for _, err := range []error{os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "environment.yaml"), []byte(text), 0o644),
		exec.Command("chmod", "-R", "a+rX", dir).Run()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// folderOf is a new folder that belongs to a user.
func folderOf(t *testing.T, user string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("chown", user, dir).CombinedOutput(); err != nil {
		t.Fatalf("chown %s: %v\n%s", user, err, out)
	}
	return dir
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
