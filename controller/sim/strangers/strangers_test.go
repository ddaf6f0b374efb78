// Package strangers holds the local account against clients that others wrote: npm's AWS SDK for JavaScript and
// the aws command line. They speak protocols in their own ways, paginate, wait and read errors as they please.
package strangers

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
)

const patience = 90 * time.Second

// serve runs an account of fast modelled tasks and answers its address.
func serve(t *testing.T) string {
	t.Helper()
	a, err := sim.New(sim.Config{Seed: 1, Timing: ecs.FastTiming(), Unthrottled: true})
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	if l, err = sim.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

func command(t *testing.T, dir, endpoint, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = environment(endpoint)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if err != nil && errs.Len() > 0 {
		return errs.String(), err
	}
	return out.String(), err
}

func environment(endpoint string) []string {
	return append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null")
}

func TestJavaScriptSDK(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on this machine", tool)
		}
	}
	dir := t.TempDir()
	for _, f := range []string{"package.json", "package-lock.json", "deploy.mjs"} {
		b, err := os.ReadFile(filepath.Join("testdata", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := command(t, dir, "", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"); err != nil {
		t.Skipf("npm cannot install the SDK here (no registry?): %v\n%s", err, out)
	}
	if out, err := command(t, dir, serve(t), "node", "deploy.mjs"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
