// Package controller_test holds the house to its floors: imports go down only.
package controller_test

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/canteen/deploy/"

// floors are the packages of the product from the ground up; a package may import its own floor's list below it only.
// Packages below a folder count as the folder's.
var floors = [][]string{
	{"controller/desired", "controller/observed", "controller/fault", "controller/urgency"},
	{"controller/rollout", "controller/condition", "controller/plan", "controller/adopt"},
	{"controller/strategy", "controller/health"},
	{"controller/account", "controller/events", "controller/githost", "controller/gitrepo", "controller/ledger", "controller/queue", "controller/release", "controller/retry"},
	{"controller/server", "controller/status", "controller/reconcile", "controller/notify", "controller/origin", "controller/trace"},
	{"controller/app", "controller/rehearsal"},
	{"controller/cmd"},
}

// allowed are the steps within one floor that are meant; everything else on one floor stands side by side.
var allowed = map[string][]string{
	"controller/condition": {"controller/rollout"},
	"controller/plan":      {"controller/rollout"},
	"controller/desired":   {},
	"controller/server":    {"controller/status"},
	"controller/gitrepo":   {"controller/retry"},
	"controller/ledger":    {"controller/retry"},
}

// banned says, for packages by prefix, what they must not reach even through others, and why.
var banned = []struct{ from, to, why string }{
	{"controller/desired", "github.com/aws/", "the lowest floors know no AWS"},
	{"controller/observed", "github.com/aws/", "the lowest floors know no AWS"},
	{"controller/rollout", "github.com/aws/", "reasoning is pure"},
	{"controller/condition", "github.com/aws/", "reasoning is pure"},
	{"controller/plan", "github.com/aws/", "a plan is plain values"},
	{"controller/adopt", "github.com/aws/", "what runs is told as plain values"},
	{"controller/adopt", "net/http", "making files does no I/O"},
	{"controller/strategy", "github.com/aws/", "reasoning is pure"},
	{"controller/health", "github.com/aws/", "reasoning is pure"},
	{"controller/desired", "net/http", "the lowest floors do no I/O"},
	{"controller/observed", "net/http", "the lowest floors do no I/O"},
	{"controller/rollout", "net/http", "reasoning does no I/O"},
	{"controller/condition", "net/http", "reasoning does no I/O"},
	{"controller/plan", "net/http", "a plan is plain values"},
	{"controller/strategy", "net/http", "reasoning does no I/O"},
	{"controller/health", "net/http", "reasoning does no I/O"},
	{"controller/rollout", "go.uber.org/zap", "reasoning writes no log"},
	{"controller/condition", "go.uber.org/zap", "reasoning writes no log"},
	{"controller/plan", "go.uber.org/zap", "a plan is plain values"},
	{"controller/strategy", "go.uber.org/zap", "reasoning writes no log"},
	{"controller/health", "go.uber.org/zap", "reasoning writes no log"},
	{"controller/desired", "go.uber.org/zap", "reading files writes no log"},
	{"controller/cmd/controller", module + "controller/sim", "the product does not know the account on this machine"},
	{"controller/app", module + "controller/sim", "the product does not know the account on this machine"},
	{"controller/rehearsal", module + "controller/sim", "the product does not know the account on this machine"},
	{"controller/rehearsal", "github.com/aws/", "a rehearsal must have no way to the account but the one that it is given"},
	{"controller/githost", "github.com/aws/", "whoever speaks to the git host has no say in the account"},
	{"controller/notify", "github.com/aws/", "whoever tells people has no say in the account"},
	{"controller/origin", "github.com/aws/", "whoever wants to know what an image was built of asks the account"},
	{"controller/trace", "github.com/aws/", "whoever tells a collector has no say in the account"},
	{"controller/release", "github.com/aws/", "whoever writes to git has no say in the account"},
	{"worker", module + "controller", "the worker knows nothing of who deploys it"},
	{"worker/order", "net/http", "the rules of orders do no I/O"},
	{"worker/order", "database/sql", "the rules of orders do no I/O"},
	{"worker/order", "go.uber.org/zap", "the rules of orders write no log"},
	{"worker/order", module + "worker/", "the rules of orders know nobody"},
	{"worker/store", "github.com/aws/", "the store knows no queue"},
	{"worker/store", module + "worker/web", "data goes one way: web, store, outbox, queue"},
	{"worker/store", module + "worker/outbox", "data goes one way: web, store, outbox, queue"},
	{"worker/web", "github.com/aws/", "the endpoints know no queue"},
	{"worker/web", module + "worker/store", "the endpoints know no database"},
	{"worker/outbox", "github.com/aws/", "the outbox knows no queue"},
	{"worker/outbox", module + "worker/store", "the outbox says what it needs of a store"},
	{"worker/secret", module + "worker/", "whoever reads a secret has nothing else to do"},
	{"worker/queue", module + "worker/store", "the queue says what it needs of a store"},
}

// speaksAWS are the only packages of the product that import the SDK themselves.
var speaksAWS = []string{"controller/account", "controller/ledger/dynamo", "controller/sim", "controller/cmd/demo", "controller/story", "worker/queue", "worker/secret"}

func TestFloors(t *testing.T) {
	for _, p := range list(t, "-f", "{{.ImportPath}} {{join .Imports \" \"}}") {
		for _, imported := range p.others {
			if strings.HasPrefix(imported, "github.com/aws/") && !under(p.name, speaksAWS) {
				t.Errorf("%s imports %s: only %s speak AWS", p.name, imported, strings.Join(speaksAWS, ", "))
			}
			other, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			if strings.HasPrefix(p.name, "controller/sim") && !strings.HasPrefix(other, "controller/sim") {
				t.Errorf("%s imports %s: the account on this machine must not repeat our misunderstandings", p.name, other)
			}
			from, to := floorOf(p.name), floorOf(other)
			if from < 0 || to < 0 || from > to || sameFolder(p.name, other) || slices.Contains(allowed[folderOf(p.name)], folderOf(other)) {
				continue
			}
			t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", p.name, from, other, to)
		}
	}
}

func TestReach(t *testing.T) {
	for _, p := range list(t, "-f", "{{.ImportPath}} {{join .Deps \" \"}}") {
		for _, b := range banned {
			if p.name != b.from && !strings.HasPrefix(p.name, b.from+"/") {
				continue
			}
			for _, dep := range p.others {
				if dep == b.to || strings.HasPrefix(dep, strings.TrimSuffix(b.to, "/")+"/") {
					t.Errorf("%s reaches %s: %s", p.name, dep, b.why)
				}
			}
		}
	}
}

type pkg struct {
	name   string
	others []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"list"}, args...), "./...")...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Fields(line)
		pkgs = append(pkgs, pkg{strings.TrimPrefix(fields[0], module), fields[1:]})
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages only", len(pkgs))
	}
	return pkgs
}

func floorOf(name string) int {
	return slices.IndexFunc(floors, func(folders []string) bool { return under(name, folders) })
}

// folderOf is the folder of the floors' table that the package belongs to.
func folderOf(name string) string {
	for _, folders := range floors {
		for _, f := range folders {
			if under(name, []string{f}) {
				return f
			}
		}
	}
	return path.Dir(name)
}

func sameFolder(a, b string) bool { return folderOf(a) == folderOf(b) }

func under(name string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return name == f || strings.HasPrefix(name, f+"/") })
}
