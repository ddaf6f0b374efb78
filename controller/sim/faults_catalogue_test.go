package sim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"
	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/sim"
)

// drill is how one row of README.md's catalogue is provoked and seen.
type drill struct {
	base  string                 // the seed file that the row is laid over; "": testdata/account.yaml
	fresh bool                   // the faults are there before the first deployment
	first func(w *patient)       // done before the faults are there
	then  func(w *patient)       // done afterwards
	after time.Duration          // waited before the symptom is looked for
	sees  func(w *patient) bool  // the symptom
	tell  func(w *patient) error // the symptom, where one look decides
}

// patient is the account in which it is provoked.
type patient struct {
	*testing.T
	account *sim.Account
	ecs     *ecs.Client
	elb     *elbv2.Client
	err     error
	notes   map[string]string
}

var catalogueRow = regexp.MustCompile("(?m)^\\| ([ABCD][0-9]+) \\| `([^`]+)` \\| (.*) \\|$")

// The catalogue has 33, 24, 35 and 28 rows. Each is provoked as README.md says, and seen.
func TestCatalogue(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	how := map[string]string{}
	for _, m := range catalogueRow.FindAllStringSubmatch(string(readme), -1) {
		how[m[1]] = m[2]
	}
	drills := drills()
	for letter, n := range map[string]int{"A": 33, "B": 24, "C": 35, "D": 28} {
		for i := 1; i <= n; i++ {
			id := fmt.Sprintf("%s%d", letter, i)
			d, known := drills[id]
			if !known || how[id] == "" {
				t.Errorf("%s has the row %q in README.md, and a drill: %v", id, how[id], known)
				continue
			}
			t.Run(id, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { d.run(t, how[id]) }) })
		}
	}
}

func (d drill) run(t *testing.T, how string) {
	base := d.base
	if base == "" {
		base = "testdata/account.yaml"
	}
	raw, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	seed := laidOver(t, raw, how)
	faults := seed["faults"]
	if !d.fresh {
		delete(seed, "faults")
	}
	text, err := yaml.Marshal(seed)
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, sim.Config{Seed: 1, Unthrottled: true}, string(text))
	cfg := a.AWSConfig()
	cfg.RetryMaxAttempts = 1
	w := &patient{T: t, account: a, ecs: ecs.NewFromConfig(cfg), elb: elbv2.NewFromConfig(cfg), notes: map[string]string{}}
	if !d.fresh {
		until(t, "first deployment", time.Hour, func() bool { return completed(service(t, a)) })
		if d.first != nil {
			d.first(w)
		}
		for _, f := range named(t, faults) {
			if _, err := a.AddFault(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d.then != nil {
		d.then(w)
	}
	time.Sleep(d.after)
	if d.tell != nil {
		if err := d.tell(w); err != nil {
			t.Error(err)
		}
		return
	}
	until(t, "the symptom", 3*time.Hour, func() bool { return d.sees(w) })
}

// laidOver is a seed with a row's lines: maps are merged, and so are lists of maps, entry by entry.
func laidOver(t *testing.T, base []byte, row string) map[string]any {
	var under, over map[string]any
	if err := errors.Join(yaml.Unmarshal(base, &under), yaml.Unmarshal([]byte(row), &over)); err != nil {
		t.Fatalf("%s: %v", row, err)
	}
	return merged(under, over).(map[string]any)
}

func merged(under, over any) any {
	switch o := over.(type) {
	case map[string]any:
		u, _ := under.(map[string]any)
		if u == nil {
			u = map[string]any{}
		}
		for k, v := range o {
			u[k] = merged(u[k], v)
		}
		return u
	case []any:
		u, _ := under.([]any)
		if _, maps := append(o, nil)[0].(map[string]any); !maps || len(u) == 0 {
			return o
		}
		for i, v := range o {
			if i < len(u) {
				u[i] = merged(u[i], v)
			} else {
				u = append(u, v)
			}
		}
		return u
	}
	return over
}

// named are the faults of a row.
func named(t *testing.T, faults any) (out []sim.NamedFault) {
	raw, err := json.Marshal(faults)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every row that a fault brings about can be asked for by its number; the others say where to look.
func TestFaultsByNumber(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1}, "clusters: [c]")
		for _, m := range catalogueRow.FindAllStringSubmatch(string(readme), -1) {
			_, err := a.AddFault(t.Context(), sim.NamedFault{Name: m[1], Target: "nothing"})
			configured := err != nil && strings.Contains(err.Error(), "a matter of configuration")
			if err != nil && strings.HasPrefix(err.Error(), "name: there is no fault") {
				t.Errorf("%s: %v", m[1], err)
			}
			if own := strings.HasPrefix(m[2], "faults:"); own && configured {
				t.Errorf("%s is brought about by a fault, and cannot be asked for: %v", m[1], err)
			}
		}
	})
}

func (w *patient) service() ecstypes.Service {
	return ok(w.T, w.ecs.DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String("orders-dev"), Services: []string{"orders"}}).Services[0]
}

func (w *patient) update(change func(*ecs.UpdateServiceInput)) {
	in := &ecs.UpdateServiceInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders")}
	change(in)
	_, w.err = w.ecs.UpdateService(w.Context(), in)
}

func force(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true }

// roll deploys good002.
func roll(w *patient) {
	revision := register(w.T, w.ecs, service(w.T, w.account), "good002")
	w.notes["primary"] = *service(w.T, w.account).Deployments[0].Id
	w.notes["revision"] = revision
	w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = &revision })
	if w.err != nil {
		w.Fatal(w.err)
	}
}

// replace stops every task, for others to start.
func replace(w *patient) {
	for _, arn := range ok(w.T, w.ecs.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("orders-dev")}).TaskArns {
		ok(w.T, w.ecs.StopTask, &ecs.StopTaskInput{Cluster: aws.String("orders-dev"), Task: &arn})
	}
}

// tasks are all, stopped ones too.
func (w *patient) tasks() []ecstypes.Task {
	var arns []string
	for _, s := range []ecstypes.DesiredStatus{ecstypes.DesiredStatusRunning, ecstypes.DesiredStatusStopped} {
		arns = append(arns, ok(w.T, w.ecs.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("orders-dev"), DesiredStatus: s}).TaskArns...)
	}
	if len(arns) == 0 {
		return nil
	}
	return ok(w.T, w.ecs.DescribeTasks, &ecs.DescribeTasksInput{Cluster: aws.String("orders-dev"), Tasks: arns[:min(len(arns), 100)]}).Tasks
}

func (w *patient) anyTask(so func(ecstypes.Task) bool) bool {
	for _, t := range w.tasks() {
		if so(t) {
			return true
		}
	}
	return false
}

func (w *patient) said(part string) bool {
	for _, e := range w.service().Events {
		if strings.Contains(aws.ToString(e.Message), part) {
			return true
		}
	}
	return false
}

// records are the service deployments, the newest first.
func (w *patient) records() []ecstypes.ServiceDeployment {
	list := ok(w.T, w.ecs.ListServiceDeployments, &ecs.ListServiceDeploymentsInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders")})
	var out []ecstypes.ServiceDeployment
	for _, b := range list.ServiceDeployments {
		out = append(out, ok(w.T, w.ecs.DescribeServiceDeployments, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*b.ServiceDeploymentArn}}).ServiceDeployments...)
	}
	return out
}

// target is state, reason and description of every target.
func (w *patient) target() string {
	group := service(w.T, w.account).LoadBalancers[0].TargetGroupArn
	out, err := w.elb.DescribeTargetHealth(w.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: group})
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, d := range out.TargetHealthDescriptions {
		text += fmt.Sprintf("%s %s %s\n", d.TargetHealth.State, d.TargetHealth.Reason, aws.ToString(d.TargetHealth.Description))
	}
	return text
}

// refused: the call of then got this error.
func refused(then func(*patient), code, part string) drill {
	return drill{then: then, tell: func(w *patient) error {
		api, is := errors.AsType[smithy.APIError](w.err)
		if !is || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), part) {
			return fmt.Errorf("got %v, want %s with %q", w.err, code, part)
		}
		return nil
	}}
}

// stopped: tasks that are to replace others end, with this stoppedReason.
func stopped(part string) drill {
	return drill{then: replace, sees: func(w *patient) bool {
		return w.anyTask(func(t ecstypes.Task) bool {
			return strings.Contains(aws.ToString(t.StoppedReason), part)
		})
	}}
}

// exited: their container app ends with this code and reason.
func exited(code int32, reason string) drill {
	return drill{then: replace, sees: func(w *patient) bool {
		return w.anyTask(func(t ecstypes.Task) bool {
			c := t.Containers[0]
			return t.StopCode == ecstypes.TaskStopCodeEssentialContainerExited && c.ExitCode != nil && *c.ExitCode == code && strings.Contains(aws.ToString(c.Reason), reason)
		})
	}}
}

func targetSays(then func(*patient), parts ...string) drill {
	return drill{then: then, sees: func(w *patient) bool {
		for _, p := range parts {
			if !strings.Contains(w.target(), p) {
				return false
			}
		}
		return true
	}}
}

func tells(then func(*patient), part string) drill {
	return drill{then: then, sees: func(w *patient) bool { return w.said(part) }}
}

// stalls: an hour after then the deployment is still IN_PROGRESS.
func stalls(then func(*patient), more func(w *patient) error) drill {
	return drill{then: then, after: time.Hour, tell: func(w *patient) error {
		if p := w.service().Deployments[0]; p.RolloutState != ecstypes.DeploymentRolloutStateInProgress {
			return fmt.Errorf("PRIMARY is %s: %s", p.RolloutState, aws.ToString(p.RolloutStateReason))
		}
		return more(w)
	}}
}

func need(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}
