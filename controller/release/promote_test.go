package release

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
)

// promotions is a world in which dev asks for the newest of three commits, and qa for the first.
func promotions(t *testing.T) (w *world, first, last string) {
	w = newWorld(t)
	first = w.commit("one")
	w.commit("two `for` @everyone")
	last = w.commit("three")
	w.write("desired/qa/environment.yaml", strings.Replace(environmentFile, "name: dev", "name: qa", 1))
	w.write("desired/qa/orders.yaml", strings.NewReplacer("0000000", first, "LOG_LEVEL: info", "QA_ONLY: here", "orders-dev", "orders-qa").Replace(serviceFile))
	dev := strings.NewReplacer(`{tag: "0000000"}`, `{tag: "`+last+`", digest: "`+digestA+`"}`, "LOG_LEVEL: info}", "LOG_LEVEL: info}\n      secrets: {PASSWORD: \"secretsmanager:orders/db\"}").Replace(serviceFile)
	w.write("desired/dev/orders.yaml", dev)
	w.commit("environments")
	return w, first, last
}

var since = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func says(p Proof) Source {
	return func(context.Context, *desired.Environment) (Prover, error) {
		return func(context.Context, string, string, desired.Image) (Proof, error) { return p, nil }, nil
	}
}

func TestPromote(t *testing.T) {
	w, first, last := promotions(t)
	repo := w.newClone()
	moves, err := Plan(t.Context(), repo, kinds(), Promotion{From: "dev", To: "qa"}, says(Proof{Good: true, Since: since}))
	if err != nil {
		t.Fatal(err)
	}
	text := moves.Text()
	for _, want := range []string{"orders (app): " + first + " → " + last, "good in dev since 2026-03-01 12:00 UTC", "qa lacks env that dev has: LOG_LEVEL",
		"qa lacks secrets that dev has: PASSWORD", "three (Ada)`", "two 'for' @everyone (Ada)`"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, " one (Ada)") {
		t.Errorf("qa has the first commit already:\n%s", text)
	}
	before := w.asked("desired/qa/orders.yaml")
	branch, err := moves.Write(t.Context(), repo)
	if err != nil || branch != "promote/dev-to-qa" {
		t.Fatalf("%q, %v", branch, err)
	}
	if w.asked("desired/qa/orders.yaml") != before {
		t.Error("it changed the branch that controllers follow; that is for the merge")
	}
	want := strings.Replace(before, `{tag: "`+first+`"}`, `{tag: "`+last+`", digest: "`+digestA+`"}`, 1)
	if got := w.on(branch, "desired/qa/orders.yaml"); got != want {
		t.Errorf("the branch has\n%s\nwant\n%s", got, want)
	}

	// Again, after the branch that controllers follow went on: one commit on top of it, as if it were the first time.
	w.commit("meanwhile")
	again, err := Plan(t.Context(), repo, kinds(), Promotion{From: "dev", To: "qa"}, says(Proof{Good: true, Since: since}))
	if err == nil {
		_, err = again.Write(t.Context(), repo)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "-C", w.bare, "log", "--format=%s", "main.."+branch).Output()
	if err != nil || strings.TrimSpace(string(out)) != again.Title() {
		t.Errorf("on top of main the branch has %q, %v", out, err)
	}

	// What a person did to the branch is not thrown away.
	w.git("fetch", "--quiet", "origin", branch)
	w.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
	w.git("commit", "--quiet", "--allow-empty", "--message", "by hand")
	w.git("push", "--quiet", "origin", "HEAD:"+branch)
	third, err := Plan(t.Context(), repo, kinds(), Promotion{From: "dev", To: "qa"}, says(Proof{Good: true}))
	if err == nil {
		_, err = third.Write(t.Context(), repo)
	}
	if err == nil || !strings.Contains(err.Error(), "somebody else made") {
		t.Errorf("over a person's commit: %v", err)
	}
}

func TestPromoteOnlyWhatIsProven(t *testing.T) {
	w, _, last := promotions(t)
	repo := w.newClone()
	unproven := says(Proof{Why: "rejected: it crashed"})
	moves, err := Plan(t.Context(), repo, kinds(), Promotion{From: "dev", To: "qa"}, unproven)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := moves.Write(t.Context(), repo); !errors.Is(err, ErrUnproven) || !strings.Contains(err.Error(), last+" was never verified good in the source: rejected: it crashed") {
		t.Errorf("error %v", err)
	}
	if out, _ := exec.Command("git", "-C", w.bare, "branch", "--list", "promote/*").Output(); len(out) > 0 {
		t.Errorf("there is a branch: %s", out)
	}
	forced, err := Plan(t.Context(), repo, kinds(), Promotion{From: "dev", To: "qa", Reason: "the fix for  the outage"}, unproven)
	if err == nil {
		_, err = forced.Write(t.Context(), repo)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "-C", w.bare, "log", "-1", "--format=%B", "promote/dev-to-qa").Output()
	if err != nil || !strings.Contains(string(out), "Forced: the fix for the outage\n") || !strings.Contains(string(out), "NOT verified in dev: rejected: it crashed") {
		t.Errorf("the commit says %s, %v", out, err)
	}
}

func TestPromoteNothing(t *testing.T) {
	w, _, _ := promotions(t)
	repo := w.newClone()
	moves, err := Plan(t.Context(), repo, kinds(), Promotion{From: "qa", To: "dev"}, says(Proof{Good: true, Digest: digestB}))
	if err != nil || len(moves.List) != 1 || !moves.List[0].GoesBack || moves.List[0].After.Digest != digestB || !strings.Contains(moves.Text(), "goes back: ") {
		t.Errorf("back from qa to dev: %+v, %v", moves, err)
	}
	w.write("desired/qa/orders.yaml", w.asked("desired/dev/orders.yaml"))
	more := strings.Replace(w.asked("desired/dev/orders.yaml"), "  containers:\n", "  containers:\n    side:\n      image: {tag: \"1a11111\"}\n", 1)
	w.write("desired/dev/orders.yaml", more)
	w.commit("the same, and a container that qa has not")
	moves, err = Plan(t.Context(), repo, kinds(), Promotion{From: "dev", To: "qa"}, says(Proof{Good: true}))
	if err != nil || len(moves.List) != 0 || !strings.HasPrefix(moves.Text(), "orders (side): qa has no such container") {
		t.Errorf("%+v, %v\n%s", moves, err, moves.Text())
	}
}

// dev asks by tag alone, and qa has its digest since the last promotion was merged.
func TestPromoteNothingAgain(t *testing.T) {
	w, _, last := promotions(t)
	w.write("desired/dev/orders.yaml", strings.Replace(w.asked("desired/dev/orders.yaml"), `, digest: "`+digestA+`"`, "", 1))
	w.commit("dev without a digest")
	repo := w.newClone()
	promotion := Promotion{From: "dev", To: "qa"}
	first, err := Plan(t.Context(), repo, kinds(), promotion, says(Proof{Good: true, Since: since, Digest: digestA}))
	w.must(err)
	branch, err := first.Write(t.Context(), repo)
	w.must(err)
	w.git("fetch", "--quiet", "origin", branch)
	w.git("reset", "--quiet", "--hard", "FETCH_HEAD")
	w.git("push", "--quiet", "origin", "HEAD:main", ":"+branch)
	for _, tt := range []struct {
		name  string
		proof Proof
		moves int
	}{
		{"that digest was verified", Proof{Good: true, Digest: digestA}, 0},
		{"it is not known which was", Proof{Good: true}, 0},
		{"none was yet", Proof{Why: "it rolls"}, 0},
		{"another digest of the tag was", Proof{Good: true, Digest: digestB}, 1},
	} {
		again, err := Plan(t.Context(), repo, kinds(), promotion, says(tt.proof))
		if err != nil || len(again.List) != tt.moves {
			t.Errorf("%s: %s was promoted and merged: %v\n%s", tt.name, last, err, again.Text())
		}
		if tt.moves > 0 {
			continue
		}
		if branch, err := again.Write(t.Context(), repo); err == nil || !strings.Contains(err.Error(), "nothing to promote") {
			t.Errorf("%s: it wrote %q, %v", tt.name, branch, err)
		}
	}
}

func TestPromoteByDigestAlone(t *testing.T) {
	w, _, _ := promotions(t)
	repo := w.newClone()
	moves, err := Plan(t.Context(), repo, kinds(), Promotion{From: "qa", To: "dev"}, says(Proof{Good: true}))
	if err == nil {
		_, err = moves.Write(t.Context(), repo)
	}
	if err == nil || !strings.Contains(err.Error(), "promote by digest alone") {
		t.Errorf("error %v", err)
	}
}

// on is a file at a branch of the host's.
func (w *world) on(branch, file string) string {
	w.t.Helper()
	out, err := exec.Command("git", "-C", w.bare, "show", branch+":"+file).Output()
	w.must(err)
	return string(out)
}
