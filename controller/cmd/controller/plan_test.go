package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
)

// written are the operations that a step of a plan is sent as.
var written = map[string]string{
	"register": "RegisterTaskDefinition", "run migration": "RunTask", "tag": "TagResource", "roll": "UpdateService", "keep parameter": "PutParameter",
}

// writes are the writing requests that the account had since the last Reset, in order.
func (w *world) writes() []string {
	var out []string
	for _, c := range w.account.Calls.Recent() {
		for _, operation := range written {
			if c.Operation == operation {
				out = append(out, operation)
			}
		}
	}
	return out
}

// reads are the beginnings of the names of operations that change nothing.
var reads = regexp.MustCompile(`^(Describe|List|Get|BatchGet|Filter)`)

// onlyLooked wants that the account was asked since the last Reset, and for nothing that changes it.
func (w *world) onlyLooked() {
	w.t.Helper()
	calls := w.account.Calls.Recent()
	if len(calls) == 0 {
		w.t.Fatal("the account was not looked at")
	}
	for _, c := range calls {
		if !reads.MatchString(c.Operation) {
			w.t.Errorf("plan sent %s %s", c.Service, c.Operation)
		}
	}
}

// plans runs the command, wants the exit code, and reads the plan that it prints as JSON.
func (w *world) plans(code int, args ...string) plan.Plan {
	w.t.Helper()
	got, out, errs := w.call(nil, append([]string{"plan", "-o", "json"}, args...)...)
	if got != code || errs != "" {
		w.t.Fatalf("plan %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	var p plan.Plan
	w.must(json.Unmarshal([]byte(out), &p))
	return p
}

func sent(steps []plan.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, written[s.Do])
	}
	return out
}

func one(t *testing.T, p plan.Plan, name string) plan.Service {
	t.Helper()
	i := slices.IndexFunc(p.Services, func(s plan.Service) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no %s in the plan: %+v", name, p.Services)
	}
	return p.Services[i]
}

// TestPlan goes the way of a pull request: plan it from the account and from the controller, merge it, and see that what was
// planned is what is done, and nothing else ever written.
func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{}, service{Name: "orders", Password: "of-this-test-only", Images: []image{
		{Tag: "1a11111", Migrates: 100 * time.Millisecond}, {Tag: "2b22222", Migrates: 100 * time.Millisecond}, {Tag: "3c33333", Crashes: true},
	}}, simple("menus"))
	folder := filepath.Join(w.source, "desired", "dev")
	w.ask("1a11111", "orders")
	w.account.Calls.Reset()
	first := one(t, w.plans(3, folder), "orders")
	if first.Effect != plan.EffectChange || first.Trigger != rollout.TriggerGit || first.Migration == nil || !first.Migration.Runs {
		t.Errorf("the first rollout: %+v", first)
	}
	w.onlyLooked()

	p := w.start()
	server := "http://" + p.addr
	p.awaitPhase(condition.PhaseHealthy, "orders")
	if got, want := w.writes(), sent(first.Now); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("the controller wrote %v; planned was %v", got, want)
	}
	w.settled(t, p, folder)

	w.write("orders.yaml", w.fill("service.yaml", map[string]string{"Name": "orders", "Tag": "2b22222"}))
	w.account.Calls.Reset()
	live, told := one(t, w.plans(3, folder), "orders"), one(t, w.plans(3, folder, "--server", server), "orders")
	for source, s := range map[string]plan.Service{"account": live, "controller": told} {
		if s.Effect != plan.EffectChange || s.Target.Name != "2b22222" || !s.Migration.Runs || len(s.Changes.List) != 1 || s.Changes.List[0].About != plan.AboutImage || !s.Changes.Whole {
			t.Errorf("planned from the %s: %+v, changes %+v", source, s, s.Changes)
		}
	}
	if diff := cmp.Diff(live.Now, told.Now); diff != "" {
		t.Errorf("the account and the controller differ:\n%s", diff)
	}
	if live.Took != nil || told.Took == nil || told.Took.Count != 1 || len(told.Assumed) == 0 || len(live.Assumed) > 0 {
		t.Errorf("took %v and %v, assumed %v and %v", live.Took, told.Took, live.Assumed, told.Assumed)
	}
	if got := w.writes(); len(got) > 0 {
		t.Fatalf("plan wrote %v", got)
	}
	w.commit("merged")
	p.await("2b22222 to be good", w.serves(p, "2b22222"))
	if got, want := w.writes(), sent(live.Now); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("the controller wrote %v; planned was %v", got, want)
	}

	w.ask("3c33333", "orders")
	p.awaitPhase(condition.PhaseReverted, "orders")
	for _, from := range [][]string{{folder}, {folder, "--server", server}} {
		s := one(t, w.plans(0, from...), "orders")
		if s.Effect != plan.EffectRefused || s.Rejected == nil || len(s.Rejected.ClearedBy) == 0 {
			t.Errorf("a rejected ask, from %v: %+v", from, s)
		}
	}
	w.removed(t, p, folder)
}

// settled wants that there is nothing to plan where what the files ask runs.
func (w *world) settled(t *testing.T, p *program, folder string) {
	t.Helper()
	for _, from := range [][]string{{folder}, {filepath.Join(folder, "orders.yaml")}, {"--env", "dev", filepath.Dir(folder)}, {folder, "--server", "http://" + p.addr}} {
		got := w.plans(0, from...)
		if s := one(t, got, "orders"); s.Effect != plan.EffectNone || len(s.Now) > 0 || len(got.Services) != 1 {
			t.Errorf("from %v: %+v", from, got.Services)
		}
	}
}

func (w *world) serves(p *program, tag string) func() error {
	return func() error {
		s, err := p.look("orders")
		if err == nil && (s.Phase != condition.PhaseHealthy || s.Good == nil || !slices.Contains(s.Good.Images, "app:"+tag)) {
			err = errNotYet
		}
		return err
	}
}

// removed plans that a file is gone, and one that the controller has not met.
func (w *world) removed(t *testing.T, p *program, folder string) {
	t.Helper()
	from := []string{folder, "--server", "http://" + p.addr}
	w.must(os.Remove(filepath.Join(folder, "orders.yaml")))
	w.write("menus.yaml", w.fill("service.yaml", map[string]string{"Name": "menus", "Tag": "1a11111"}))
	got := w.plans(3, from...)
	if s := one(t, got, "orders"); s.Effect != plan.EffectReleased {
		t.Errorf("a file that is gone: %+v", s)
	}
	if s := one(t, got, "menus"); s.Effect != plan.EffectChange || !strings.Contains(s.Summary, "has not met it") {
		t.Errorf("a file that is new: %+v", s)
	}
	w.must(os.Remove(filepath.Join(folder, "menus.yaml")))
	w.commit("nothing is asked")
	p.awaitPhase(condition.PhaseReleased, "orders")
	if got := w.plans(0, from...); len(got.Services) != 0 {
		t.Errorf("what was released long ago: %+v", got.Services)
	}
}

// TestPlanForPeople holds the words to golden files: what a terminal shows and what a pull request's comment says.
func TestPlanForPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{}, simple("menus"), simple("orders"))
	folder := filepath.Join(w.source, "desired", "dev")
	w.ask("1a11111", "orders")
	suspended := strings.Replace(string(w.fill("service.yaml", map[string]string{"Name": "menus", "Tag": "1a11111"})), "spec:\n",
		"spec:\n  suspend: {reason: the menu is being printed, owner: kitchen, until: 2100-01-01T00:00:00Z}\n", 1)
	w.write("menus.yaml", []byte(suspended))
	w.account.Calls.Reset()
	for output, golden := range map[string]string{"text": "plan.txt", "markdown": "plan.md"} {
		code, out, errs := w.call(nil, "plan", folder, "-o", output)
		if code != 3 || errs != "" {
			t.Errorf("%s: exit %d\n%s", output, code, errs)
		}
		compareGolden(t, golden, out)
	}
	w.onlyLooked()
	w.write("broken.yaml", []byte("apiVersion: deploy/v1\nkind: Service\nmetadata: {name: broken}\nspec:\n  stak: broken-dev\n"))
	code, out, errs := w.call(nil, "plan", folder)
	if code != 1 || errs != "" || !strings.Contains(out, filepath.ToSlash(filepath.Join(folder, "broken.yaml"))+":5:3: ") || !strings.Contains(out, "▶ orders: changes") {
		t.Errorf("a file that is invalid: exit %d\n%s%s", code, out, errs)
	}
	if code, out, _ := w.call(nil, "plan", filepath.Join(folder, "orders.yaml")); code != 3 || strings.Contains(out, "broken") {
		t.Errorf("a file beside one that is invalid: exit %d\n%s", code, out)
	}
	w.write("environment.yaml", []byte("apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec: {account: \"1\", region: eu-central-1}\n"))
	if code, out, _ := w.call(nil, "plan", folder); code != 1 || !strings.Contains(out, "environment.yaml:4:") {
		t.Errorf("an environment that is invalid: exit %d\n%s", code, out)
	}
}

func TestPlanGoesWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{}, simple("orders"))
	folder := filepath.Join(w.source, "desired", "dev")
	w.ask("1a11111", "orders")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/of-another"):
			_, _ = w.Write([]byte(`{"environment":"dev","account":"111111111111","region":"eu-central-1","schema":1,"services":0}`))
		case strings.HasPrefix(r.URL.Path, "/beside"):
			_, _ = w.Write([]byte(`{"environment":"qa","account":"000000000000","region":"eu-central-1","schema":1,"services":0}`))
		case strings.HasPrefix(r.URL.Path, "/newer"):
			_, _ = w.Write([]byte(`{"environment":"dev","account":"000000000000","region":"eu-central-1","schema":99,"services":0}`))
		case strings.HasPrefix(r.URL.Path, "/cut"):
			_, _ = w.Write([]byte(`{"environment":"dev","account":"000000000000","region":"eu-central-1","schema":1,"services":2}`))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(other.Close)
	many := t.TempDir()
	for _, env := range []string{"dev", "qa"} {
		w.must(os.CopyFS(filepath.Join(many, env), os.DirFS(folder)))
	}
	foreign := filepath.Join(t.TempDir(), "prod")
	w.must(os.CopyFS(foreign, os.DirFS(folder)))
	w.must(os.WriteFile(filepath.Join(foreign, "environment.yaml"), []byte(strings.Replace(string(w.fill("environment.yaml", nil)), "000000000000", "111111111111", 1)), 0o600))
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		code int
		says string
	}{
		{"no such folder", nil, []string{folder + "-none"}, 2, "no file or folder"},
		{"no environment", nil, []string{t.TempDir()}, 2, "holds no environment"},
		{"which environment", nil, []string{many}, 2, "holds the environments dev, qa; name one by --env"},
		{"not that environment", nil, []string{many, "--env", "prod"}, 2, "holds no environment prod"},
		{"another environment's folder", nil, []string{folder, "--env", "prod"}, 2, "is the environment dev, not prod"},
		{"not a file", nil, []string{filepath.Join(folder, "orders.txt")}, 2, "no file or folder"},
		{"unknown output", nil, []string{folder, "-o", "xml"}, 2, "unknown output"},
		{"no address", nil, []string{folder, "--server", "somewhere"}, 2, "no address"},
		{"too much", nil, []string{folder, folder}, 2, "at most 1"},
		{"unreachable account", []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1"}, []string{folder}, 1, "ask whose credentials these are"},
		{"another account", nil, []string{foreign}, 1, "these credentials belong to account 000000000000, the environment's is 111111111111"},
		{"no controller", nil, []string{folder, "--server", "http://127.0.0.1:1"}, 1, "no controller answers"},
		{"not a controller", nil, []string{folder, "--server", other.URL}, 1, "is it a controller?"},
		{"another account's controller", nil, []string{folder, "--server", other.URL + "/of-another"}, 1, "works in account 111111111111"},
		{"another environment's controller of this account", nil, []string{folder, "--server", other.URL + "/beside"}, 1, "is that of qa and works in account 000000000000"},
		{"a newer controller", nil, []string{folder, "--server", other.URL + "/newer"}, 1, "is newer"},
		{"an answer that is cut", nil, []string{folder, "--server", other.URL + "/cut"}, 1, "after 0 services"},
	} {
		code, out, errs := w.call(tt.env, append([]string{"plan"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.says) || out != "" {
			t.Errorf("%s: exit %d, want %d, saying %q:\n%s%s", tt.name, code, tt.code, tt.says, out, errs)
		}
	}
}
