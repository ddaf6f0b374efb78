package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/githost/standin"
	"github.com/canteen/deploy/controller/notify"
)

const pageAddress = "https://deploy.canteen.example"

// speaks are the flags of a controller that tells the stand-in.
func (w *world) speaks(host *standin.Server) []string {
	token := filepath.Join(w.dir, "token")
	w.must(os.WriteFile(token, []byte(standin.Token+"\n"), 0o600))
	return []string{"--github-token-file", token, "--github-repository", standin.Repository, "--github-api", host.URL, "--github-write-gap", "20ms", "--page-url", pageAddress}
}

func newTold(t *testing.T) (*journey, *standin.Server) {
	t.Helper()
	j := newJourney(t)
	return j, standin.Open(t, j.source)
}

// release is a build that dev is asked to run; it returns the commit that asks.
func (j *journey) release(code, does string) (tag, sha string) {
	j.t.Helper()
	tag, digest := j.build(code)
	j.push(tag, digest, does)
	if _, err := j.run("set-image", "--env", "dev", "--service", "orders", "--tag", tag, "--digest", digest, "--push"); err != nil {
		j.t.Fatal(err)
	}
	return tag, j.git(j.source, "rev-parse", "main")
}

func (p *program) awaitStatus(host *standin.Server, sha, state string) []standin.Status {
	p.t.Helper()
	var all []standin.Status
	p.await("the status "+state+" of "+sha, func() error {
		all = host.Statuses(sha, "deploy/dev")
		if len(all) == 0 || all[len(all)-1].State != state {
			return fmt.Errorf("it has %v", all)
		}
		return nil
	})
	return all
}

func (p *program) awaitPull(host *standin.Server, state string) standin.Pull {
	p.t.Helper()
	var one standin.Pull
	p.await("a pull request that is "+state, func() error {
		all := host.Pulls()
		if len(all) != 1 || all[0].State != state {
			return fmt.Errorf("there are %v", all)
		}
		one = all[0]
		return nil
	})
	return one
}

var refusedPromotion = regexp.MustCompile(`was never verified good in the source: rejected: \d+ tasks? stopped`)

// TestGitIsTold, and so are people: a host that limits requests at first, a release that goes well, one that is rejected, a restart, and git that moves on.
func TestGitIsTold(t *testing.T) {
	t.Parallel()
	j, host := newTold(t)
	var began time.Time
	host.Refuse(func(*http.Request) *standin.Refusal {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) < 4*time.Second {
			return standin.Secondary(5 * time.Second)
		}
		return nil
	})
	good := j.git(j.source, "rev-parse", "main")
	people := newReceiver(t)
	traces := newTraces(t)
	flags := append(j.speaks(host), "--notify", people.file, "--otlp", traces.URL)
	dev := j.start(flags...)
	dev.awaitPhase(condition.PhaseHealthy, "orders")
	people.await(t, notify.Begun, notify.Good)

	if n := host.Refused(); n != 1 {
		t.Errorf("%d requests were refused: the host had said when to come again", n)
	}

	const tag = "1a11111"
	all := dev.awaitStatus(host, good, "success")
	if all[0].State != "pending" || !strings.HasPrefix(all[len(all)-1].URL, pageAddress+"/services/orders/rollouts/") {
		t.Errorf("the good commit's statuses are %v", all)
	}
	bad, badCommit := j.release("read MENU_URL", crashes)
	dev.awaitPhase(condition.PhaseReverted, "orders")
	all = dev.awaitStatus(host, badCommit, "failure")
	if last := all[len(all)-1]; all[0].State != "pending" || !strings.HasPrefix(last.URL, pageAddress+"/services/orders/rollouts/") || !strings.Contains(last.Description, "orders: ") {
		t.Errorf("the bad commit's statuses are %v", all)
	}
	wantStates(t, host, good, "success")
	wantStates(t, host, badCommit, "failure")

	pull := dev.awaitPull(host, "open")
	for _, part := range []string{"`" + bad + "` was rejected in dev", "exited with 1", pageAddress + "/services/orders/rollouts/", badCommit} {
		if !strings.Contains(pull.Body, part) {
			t.Errorf("the pull request lacks %q:\n%s", part, pull.Body)
		}
	}
	if diff := j.git(j.source, "diff", "main", pull.Head, "--stat"); !strings.Contains(diff, "desired/dev/orders.yaml") || !strings.Contains(j.git(j.source, "show", pull.Head+":desired/dev/orders.yaml"), tag) {
		t.Errorf("the branch changes %s", diff)
	}

	// How many tasks had stopped by the time of the verdict is the machine's speed, no promise.
	if out, err := j.promoteTold(host); err == nil || !refusedPromotion.MatchString(err.Error()) {
		t.Errorf("%v\n%s", err, out)
	}

	// A controller that begins anew says nothing twice.
	traces.await(t, good, badCommit)
	writes := host.Writes()
	_ = dev.cmd.Process.Kill()
	<-dev.ended
	dev = j.start(flags...)
	dev.awaitPhase(condition.PhaseReverted, "orders")
	dev.await("all that could be told has been looked at", func() error { return dev.metric("deploy_githost_pending", 0) })
	if again := host.Writes(); again != writes {
		t.Errorf("the restart wrote %d times", again-writes)
	}
	dev.awaitPull(host, "open")
	people.await(t, notify.Begun, notify.Good, notify.Begun, notify.Rejected, notify.Reverting, notify.Reverted)

	next, nextCommit := j.release("read MENU_URL where it is set", listens)
	dev.awaitTag("orders", next)
	dev.awaitStatus(host, nextCommit, "success")
	pull = dev.awaitPull(host, "closed")
	if !strings.Contains(pull.Body, "Closed by the controller: git moved on") {
		t.Errorf("its last words are missing:\n%s", pull.Body)
	}
	if branches := j.git(j.source, "branch", "--list", "revert/*"); branches != "" {
		t.Errorf("left behind: %s", branches)
	}
	wantStates(t, host, good, "inactive")
	wantStates(t, host, badCommit, "failure")
	people.await(t, notify.Begun, notify.Good, notify.Begun, notify.Rejected, notify.Reverting, notify.Reverted, notify.Begun, notify.Good)
	traces.await(t, good, badCommit, nextCommit)

	out, err := j.promoteTold(host)
	if err != nil || !strings.Contains(out, "good in dev since") || !strings.Contains(out, "https://github.com/"+standin.Repository+"/pull/") {
		t.Errorf("%v\n%s", err, out)
	}
	if again, err := j.promoteTold(host); err != nil || again != out || len(host.Pulls()) != 2 {
		t.Errorf("a repeat makes %d pull requests: %v\n%s", len(host.Pulls()), err, again)
	}
}

// promoteTold promotes by what GitHub was told, with a pull request.
func (j *journey) promoteTold(host *standin.Server) (string, error) {
	j.t.Helper()
	code, stdout, stderr := j.call([]string{"GIT_CONFIG_GLOBAL=" + os.DevNull, "GITHUB_TOKEN=" + standin.Token, "GITHUB_REPOSITORY=" + standin.Repository, "GITHUB_API_URL=" + host.URL},
		"promote", "--from", "dev", "--to", "qa", "--push", "--pull-request", "-C", j.clone)
	if code != 0 {
		return stdout, fmt.Errorf("exit code %d: %s", code, stderr)
	}
	return stdout, nil
}

// wantStates holds the newest status of dev's deployment of a commit.
func wantStates(t *testing.T, host *standin.Server, sha, state string) {
	t.Helper()
	all := host.Deployments()
	i := slices.IndexFunc(all, func(d standin.Deployment) bool {
		return d.SHA == sha && d.Environment == "dev" && d.Task == "deploy:orders"
	})
	if i < 0 || len(all[i].Statuses) == 0 || all[i].Statuses[len(all[i].Statuses)-1].State != state {
		t.Errorf("the deployment of %s should end as %s: %+v", sha, state, all)
	}
}
