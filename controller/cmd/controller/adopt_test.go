package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	aas "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	aastypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/permit"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/iam"
	"github.com/canteen/deploy/controller/sim/wire"
)

// definition is a task definition that somebody has registered by hand.
type definition struct {
	Family, Image, Memory, Secret string
	Env                           map[string]string
}

// deployed is a service that somebody has rolled out by hand, with the family of its name.
type deployed struct {
	Name, Controller string
	Count            int
	Balanced         bool
}

// running is what the account has before anybody has heard of a controller. Each stack has its template in a family of its own.
type running struct {
	Repositories, Balanced, Stacks []string
	Definitions                    []definition
	Services                       []deployed
}

// looker is the access key of who only looks, by the policy of docs/adopt.md.
const looker = "AKIAWHOEVERLOOKS"

// newRunning is a world whose services were rolled out by somebody else, and whose repository asks for nothing yet.
func newRunning(t *testing.T, r running) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the real program in real time")
	}
	w := &world{t: t, dir: t.TempDir(), guard: iam.NewGuard(iam.Place{Account: sim.DefaultAccount, Region: sim.DefaultRegion})}
	policy, err := permit.Look()
	w.must(err)
	w.guard.Bind(looker, policy)
	w.openAccount(sim.Config{Middleware: []wire.Middleware{w.guard.Middleware()}}, w.fill("running.yaml", r))
	w.source = filepath.Join(w.dir, "repository")
	w.newRepository()
	for _, s := range r.Services {
		if s.Controller == "" && s.Count > 0 {
			w.awaitRunning(s)
		}
	}
	w.account.Calls.Reset()
	return w
}

// awaitRunning waits until the service's own first deployment is complete.
func (w *world) awaitRunning(s deployed) {
	w.t.Helper()
	p := &program{t: w.t, ended: make(chan struct{})} // nothing that ends
	p.await(s.Name+" to run", func() error {
		out, err := w.account.ECS.DescribeServices(w.t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{s.Name}})
		if err == nil && (len(out.Services) != 1 || out.Services[0].Deployments[0].RolloutState != "COMPLETED" || int(out.Services[0].RunningCount) != s.Count) {
			err = errNotYet
		}
		return err
	})
}

func (w *world) adopts(code int, more ...string) (stdout, stderr string) {
	w.t.Helper()
	got, out, errs := w.call([]string{"AWS_ACCESS_KEY_ID=" + looker}, append([]string{"adopt", "--env", "dev", "--cluster", "shop", "-C", filepath.Join(w.source, "desired")}, more...)...)
	if got != code {
		w.t.Fatalf("adopt %s: exit %d, want %d\n%s%s", strings.Join(more, " "), got, code, out, errs)
	}
	return out, errs
}

func digestOfTag(repository, tag string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(repository+":"+tag)))
}

// TestAdopt adopts services that somebody else has rolled out, one image by tag behind a load balancer, one by digest under an
// autoscaler, and lets a controller take them over: nothing but tags is written, and the next version is a rollout like any other.
func TestAdopt(t *testing.T) {
	t.Parallel()
	w := newRunning(t, running{
		Repositories: []string{"orders", "menus"}, Balanced: []string{"orders"}, Stacks: []string{"orders", "menus"},
		Definitions: []definition{
			{Family: "orders-template", Image: "${repository:orders}:template"},
			{Family: "orders", Image: "${repository:orders}:1a11111", Env: map[string]string{"LOG_LEVEL": "info: # \"now\"", "EMPTY": ""}, Secret: "${secret:shop/orders}:password::"},
			{Family: "menus-template", Image: "${repository:menus}:template"},
			{Family: "menus", Image: "${repository:menus}@" + digestOfTag("menus", "1a11111")},
		},
		Services: []deployed{{Name: "orders", Count: 2, Balanced: true}, {Name: "menus", Count: 3}},
	})
	scaled := "service/shop/menus"
	_, err := w.account.AutoScaling.RegisterScalableTarget(t.Context(), &aas.RegisterScalableTargetInput{
		ServiceNamespace: aastypes.ServiceNamespaceEcs, ResourceId: &scaled, ScalableDimension: aastypes.ScalableDimensionECSServiceDesiredCount,
		MinCapacity: aws.Int32(2), MaxCapacity: aws.Int32(6),
	})
	w.must(err)
	w.must(os.Remove(filepath.Join(w.source, "desired", "dev", "environment.yaml")))
	out, notes := w.adopts(0, "--service", "orders", "--region", "eu-central-1")
	if !strings.Contains(out, "environment.yaml") || !strings.Contains(out, "orders.yaml") || !strings.Contains(notes, "migration") || !strings.Contains(notes, "turns that off") {
		t.Errorf("it says\n%s%s", out, notes)
	}
	w.adopts(0, "--service", "arn:aws:ecs:eu-central-1:000000000000:service/shop/menus")
	w.onlyLooked()

	folder := filepath.Join(w.source, "desired", "dev")
	for file, want := range map[string][]string{
		"environment.yaml": {`account: "000000000000"`, `region: "eu-central-1"`},
		"orders.yaml":      {`stack: "orders-deploy"`, `{tag: "1a11111", digest: "` + digestOfTag("orders", "1a11111") + `"}`, `"LOG_LEVEL": "info: # \"now\""`, `"EMPTY": ""`, "targets: {}", "minimumHealthyPercent: 50, maximumPercent: 150, initialCount: 2"},
		"menus.yaml":       {`{tag: "1a11111", digest: "` + digestOfTag("menus", "1a11111") + `"}`, "initialCount: 3"},
	} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		w.must(err)
		for _, part := range want {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s lacks %q:\n%s", file, part, text)
			}
		}
		if strings.Contains(string(text), "REGION") || strings.Contains(string(text), "\n  migration:") {
			t.Errorf("%s says what the template has, or what nobody knows:\n%s", file, text)
		}
	}
	if code, out, errs := w.call(nil, "validate", filepath.Dir(folder)); code != 0 {
		t.Fatalf("validate: exit %d\n%s%s", code, out, errs)
	}
	for _, s := range w.plans(0, folder).Services {
		if s.Effect != plan.EffectNone || len(s.Now)+len(s.Then) > 0 {
			t.Errorf("planned: %+v", s)
		}
	}
	w.adopts(0, "--service", "orders") // says so already
	if code, out, errs := w.call([]string{"AWS_ACCESS_KEY_ID=" + looker}, "plan", folder); code != 0 {
		t.Errorf("plan with the policy of docs/adopt.md: exit %d\n%s%s", code, out, errs)
	}
	w.takenOver(t)
}

// allUsed wants that the policy allows no more than was asked for.
func (w *world) allUsed(t *testing.T) {
	t.Helper()
	policy, err := permit.Look()
	w.must(err)
	used := w.guard.Used()
	for _, u := range policy.Uses() {
		if !slices.Contains(used, u) {
			t.Errorf("nothing asked for what %s allows: %s", u.Sid, u.Action)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "adopt.md"))
	w.must(err)
	shown, err := os.ReadFile(filepath.Join("..", "..", "permit", "look.json"))
	w.must(err)
	if !strings.Contains(string(page), string(shown)) {
		t.Error("docs/adopt.md does not show the policy as it is")
	}
}

// takenOver lets a controller take over what was adopted.
func (w *world) takenOver(t *testing.T) {
	t.Helper()
	revisions := w.running("orders", "menus")
	orders := filepath.Join(w.source, "desired", "dev", "orders.yaml")
	text, err := os.ReadFile(orders)
	w.must(err)
	w.must(os.WriteFile(orders, []byte(strings.Replace(string(text), "  verify:\n", "  verify:\n    bake: 10s\n", 1)), 0o600))
	menus, err := os.ReadFile(filepath.Join(w.source, "desired", "dev", "menus.yaml"))
	w.must(err)
	w.write("menus.yaml", []byte(strings.Replace(string(menus), "  onFailure:", "  verify: {bake: 10s}\n  onFailure:", 1)))
	w.commit("adopt orders and menus")
	w.account.Calls.Reset()
	p := w.start()
	p.awaitPhase(condition.PhaseHealthy, "orders", "menus")
	p.await("the tags of both", func() error {
		if len(w.writes()) < 2 {
			return errNotYet
		}
		return nil
	})
	if got := w.writes(); slices.ContainsFunc(got, func(operation string) bool { return operation != "TagResource" }) {
		t.Errorf("what was taken over was written to: %v", got)
	}
	if now := w.running("orders", "menus"); !slices.Equal(now, revisions) {
		t.Errorf("they run %v, and ran %v", now, revisions)
	}
	// A controller that loses its ledger knows from the tags what was taken over.
	p.kill()
	w.must(os.RemoveAll(filepath.Join(w.dir, "ledger.db")))
	for _, s := range w.plans(0, filepath.Join(w.source, "desired", "dev")).Services {
		if s.Effect != plan.EffectNone {
			t.Errorf("planned of what was taken over: %+v", s)
		}
	}
	p = w.start()
	text, err = os.ReadFile(orders)
	w.must(err)
	w.must(os.WriteFile(orders, []byte(strings.NewReplacer("1a11111", "2b22222", digestOfTag("orders", "1a11111"), digestOfTag("orders", "2b22222"),
		"bake: 10s", "bake: 10m\n    alarms: {revertOn: [shop-5xx]}").Replace(string(text))), 0o600))
	if code, out, errs := w.call([]string{"AWS_ACCESS_KEY_ID=" + looker}, "plan", orders); code != 3 || !strings.Contains(out, "rolls the service") {
		t.Errorf("plan of the next version: exit %d\n%s%s", code, out, errs)
	}
	w.allUsed(t)
	w.commit("orders: 2b22222")
	p.await("2b22222 to be rolled out", func() error {
		if !slices.Contains(w.writes(), "UpdateService") {
			return errNotYet
		}
		return nil
	})
	if now := w.running("orders", "menus"); now[0] == revisions[0] || now[1] != revisions[1] {
		t.Errorf("they run %v, and ran %v", now, revisions)
	}
}

func (w *world) running(services ...string) []string {
	w.t.Helper()
	var out []string
	for _, s := range services {
		got, err := w.account.ECS.DescribeServices(w.t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{s}})
		w.must(err)
		out = append(out, aws.ToString(got.Services[0].TaskDefinition))
	}
	return out
}

// TestAdoptRefuses wants one clear error for what cannot be adopted, and nothing written.
func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	w := newRunning(t, running{
		Repositories: []string{"orders", "larger", "selfish", "leaky", "idle", "alone", "given"}, Balanced: []string{"given"}, Stacks: []string{"orders", "larger", "selfish", "leaky", "idle"},
		Definitions: []definition{
			{Family: "orders-template", Image: "${repository:orders}:template"}, {Family: "orders", Image: "${repository:orders}:1a11111"},
			{Family: "larger-template", Image: "${repository:larger}:template", Memory: "1024"}, {Family: "larger", Image: "${repository:larger}:1a11111"},
			{Family: "selfish", Image: "${repository:selfish}:1a11111"},
			{Family: "leaky-template", Image: "${repository:leaky}:template"}, {Family: "leaky", Image: "${repository:leaky}:1a11111", Env: map[string]string{"DB_PASSWORD": "of-this-test-only"}},
			{Family: "idle-template", Image: "${repository:idle}:template"}, {Family: "idle", Image: "${repository:idle}:1a11111"},
			{Family: "alone", Image: "${repository:alone}:1a11111"}, {Family: "given", Image: "${repository:given}:1a11111"},
		},
		Services: []deployed{{Name: "orders", Count: 1}, {Name: "larger", Count: 1}, {Name: "selfish", Count: 1}, {Name: "leaky", Count: 1}, {Name: "idle"}, {Name: "alone", Count: 1}, {Name: "given", Count: 1, Controller: "CODE_DEPLOY", Balanced: true}},
	})
	w.write("orders.yaml", []byte("# somebody's\n"))
	for name, tt := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"no service":             {[]string{"--service", "soups"}, 1, []string{"no service soups"}},
		"no cluster":             {[]string{"--service", "orders", "--cluster", "canteen"}, 1, []string{"no cluster canteen"}},
		"CodeDeploy's":           {[]string{"--service", "given"}, 1, []string{"CODE_DEPLOY", "ECS's own kind only"}},
		"nothing runs":           {[]string{"--service", "idle"}, 1, []string{"0 of 0 tasks run"}},
		"no stack":               {[]string{"--service", "alone"}, 1, []string{"no stack", "--stack-template"}},
		"another's stack":        {[]string{"--service", "alone", "--stack", "orders-deploy"}, 1, []string{"is about the service orders"}},
		"its own family":         {[]string{"--service", "selfish"}, 1, []string{"a family of its own"}},
		"another template":       {[]string{"--service", "larger"}, 1, []string{"memory: 512 → 1024", "--accept-rollout"}},
		"a secret in the env":    {[]string{"--service", "leaky"}, 1, []string{"DB_PASSWORD has the name of a secret", "Whatever the template has"}},
		"a file that is there":   {[]string{"--service", "orders"}, 1, []string{"orders.yaml is there already"}},
		"another region":         {[]string{"--service", "orders", "--region", "eu-west-1"}, 2, []string{"--region is eu-west-1"}},
		"no service is named":    {nil, 2, []string{"--cluster and --service"}},
		"a name that is a path":  {[]string{"--service", "orders", "--name", "../x"}, 2, []string{"--name"}},
		"an environment's path":  {[]string{"--service", "orders", "--env", "../dev"}, 2, []string{"--env"}},
		"a template that exists": {[]string{"--service", "alone", "--stack-template", filepath.Join(w.source, "desired", "dev", "orders.yaml")}, 1, []string{"is there already"}},
	} {
		out, errs := w.adopts(tt.code, tt.args...)
		if strings.Contains(errs, "of-this-test-only") || out != "" {
			t.Errorf("%s: it printed\n%s%s", name, out, errs)
		}
		for _, part := range tt.says {
			if !strings.Contains(errs, part) {
				t.Errorf("%s: it does not say %q:\n%s", name, part, errs)
			}
		}
	}
	w.onlyLooked()
	left, err := os.ReadDir(filepath.Join(w.source, "desired", "dev"))
	w.must(err)
	if len(left) != 2 {
		t.Errorf("something was written: %v", left)
	}
	out, notes := w.adopts(0, "--service", "larger", "--accept-rollout", "--print")
	if !strings.Contains(out, "stack: \"larger-deploy\"") || !strings.Contains(out, "maximumPercent: 200") || !strings.Contains(notes, "100 and 200 are written") {
		t.Errorf("printed:\n%s%s", out, notes)
	}
	w.ownStack(t)
}

// ownStack adopts the service that has no stack, after the stack that adopt writes for it was made.
func (w *world) ownStack(t *testing.T) {
	t.Helper()
	file := filepath.Join(w.dir, "alone.json")
	out, _ := w.adopts(0, "--service", "alone", "--stack-template", file)
	if !strings.Contains(out, "--stack-name alone-deploy") {
		t.Errorf("it says\n%s", out)
	}
	body, err := os.ReadFile(file)
	w.must(err)
	var template struct {
		Resources map[string]struct {
			Properties map[string]any
		}
	}
	w.must(json.Unmarshal(body, &template))
	if got := template.Resources["TaskTemplate"].Properties; got["Family"] != "alone-template" || got["Memory"] != "512" {
		t.Errorf("the template's task definition: %v", got)
	}
	read, err := sim.ReadTemplates(sim.Template{Stack: "alone-deploy", Body: body})
	w.must(err)
	read.Seed.VPC = nil
	w.must(w.account.Plant(t.Context(), read.Seed))
	w.adopts(0, "--service", "alone")
	if s := one(t, w.plans(0, filepath.Join(w.source, "desired", "dev", "alone.yaml")), "alone"); s.Effect != plan.EffectNone {
		t.Errorf("planned: %+v", s)
	}
}
