package story

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
)

func (e entry) meet(t *Telling, like []string) error {
	moment, _, _ := strings.Cut(e.when, " ")
	if err := e.prepare(t, like, moment); err != nil {
		return fmt.Errorf("before the row: %w", err)
	}
	t.journal.add("catalogue", "%s: %s", e.row, e.cause)
	for _, deed := range e.deeds {
		if err := do(t, deed); err != nil {
			return fmt.Errorf("%s: %w", deed, err)
		}
	}
	if moment == "commit" || moment == "first" {
		if err := errors.Join(e.ask(t), t.began(moment)); err != nil {
			return err
		}
	}
	for _, want := range e.ends {
		if err := e.ended(t, want); err != nil {
			return err
		}
	}
	if err := t.Await(12*time.Minute, func() error { return e.shows(t) }); err != nil {
		return err
	}
	if t.opts.Outermost != nil {
		return nil
	}
	// What it says stands: nothing else ends, but what is blocked is tried again.
	n := len(t.ended("orders"))
	hold := func() error {
		if e.class != "blocked" && len(t.ended("orders")) > n {
			return fmt.Errorf("and then %s", told(t.ended("orders")[n]))
		}
		return nil
	}
	return errors.Join(t.during(50*time.Second, hold), e.mend(t))
}

// prepare leads to the moment just before the row's deeds.
func (e entry) prepare(t *Telling, like []string, moment string) error {
	err := errors.Join(t.repo.set("orders.yaml", "spec.rollout.deadline", "3m"), t.repo.set("orders.yaml", "spec.verify.bake", "10s"),
		t.repo.set("orders.yaml", "spec.migration.timeout", "1m"))
	if !slices.Contains(like, "required line") {
		err = errors.Join(err, t.repo.edit("orders.yaml", func(b []byte) ([]byte, error) {
			return []byte(strings.ReplaceAll(string(b), ", require: [listening]", "")), nil
		}))
	}
	if !slices.Contains(like, "migration") && moment != "migrating" {
		err = errors.Join(err, t.repo.drop("orders.yaml", "migration"))
	}
	if slices.Contains(like, "secret in SSM") {
		err = errors.Join(err, t.repo.edit("orders.yaml", func(b []byte) ([]byte, error) {
			return []byte(strings.ReplaceAll(string(b), "secretsmanager:orders/db:password", "ssm:/orders/limit")), nil
		}))
	}
	if slices.Contains(like, "long bake") {
		err = errors.Join(err, t.repo.set("orders.yaml", "spec.verify.bake", "8m"))
	}
	if slices.Contains(like, "tight percentages") {
		err = errors.Join(err, t.repo.edit("orders.yaml", func(b []byte) ([]byte, error) {
			return []byte(strings.ReplaceAll(string(b), "minimumHealthyPercent: 100, maximumPercent: 200", "minimumHealthyPercent: 50, maximumPercent: 100")), nil
		}))
	}
	if slices.Contains(like, "sidecar") {
		err = errors.Join(err, t.Push("orders", "sidecar"))
	}
	if err = errors.Join(err, t.Push("orders", "b2")); err != nil || moment == "first" {
		return err
	}
	if err := t.runs("orders", "a1"); err != nil {
		return err
	}
	if slices.Contains(like, "one task") {
		if err := errors.Join(t.ScaleByHand("orders", 1), t.Advance(30*time.Second)); err != nil {
			return err
		}
	}
	if moment == "settled" || moment == "commit" {
		return t.Advance(20 * time.Second)
	}
	if err := e.ask(t); err != nil {
		return err
	}
	return t.Await(5*time.Minute, func() error { return t.at(moment) })
}

// ask is git's word for the next version.
func (e entry) ask(t *Telling) error {
	return t.change("orders: image b2", func() error { return t.repo.set("orders.yaml", "spec.containers.app.image.tag", "b2") })
}

// began starts the controller where it has not run yet.
func (t *Telling) began(moment string) error {
	if moment == "first" {
		return t.Start()
	}
	return nil
}

// at says what is missing to the moment.
func (t *Telling) at(moment string) error {
	ro := t.record("orders").Rollout
	reached := ro != nil && map[string]bool{
		"migrating": ro.Migration != nil && ro.Migration.Task != "",
		"rolling":   ro.Stage == rollout.StageRoll && ro.Deployment != nil && ro.Deployment.ID != "",
		"baking":    ro.Stage == rollout.StageBake,
	}[moment]
	if !reached {
		return fmt.Errorf("it is not %s yet", moment)
	}
	return nil
}

// do arms a fault of the account's, or carries out a line of the language.
func do(t *Telling, deed string) error {
	if !strings.HasPrefix(deed, "{") {
		line, err := find(allVerbs(), deed)
		if err != nil {
			return err
		}
		return line(t)
	}
	var f sim.NamedFault
	if err := yaml.UnmarshalStrict([]byte(deed), &f); err != nil {
		return err
	}
	if tag, is := strings.CutPrefix(f.Target, ":"); is {
		f.Target = t.image("orders", tag).digest // revisions name images by digest
	}
	_, err := t.account.AddFault(context.Background(), f)
	t.journal.add("fault", "%s", deed)
	return err
}

// ended waits for the next finished rollout and holds it to kind, result and reason.
func (e entry) ended(t *Telling, want string) error {
	n := t.verdicts["orders"]
	err := t.Await(90*time.Minute, func() error {
		if len(t.ended("orders")) <= n {
			return fmt.Errorf("nothing has ended, want %s (%v)", want, t.phase("orders", "?"))
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.verdicts["orders"]++
	got := t.ended("orders")[n]
	if said := told(got); said != want && !(t.opts.Outermost != nil && sameResult(said, want)) {
		return fmt.Errorf("%s (%s), want %s", told(got), got.Message, want)
	}
	if got.Kind == rollout.KindDeploy && got.Evidence != nil && string(got.Evidence.Class) != e.class && !(e.class == "no data" && got.Evidence.Class == observed.ClassInfrastructure) {
		return fmt.Errorf("%s is %s, want %s", want, got.Evidence.Class, e.class)
	}
	return nil
}

// sameResult compares the first two of three words: what was decided, whatever it is called for.
func sameResult(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	return len(x) > 1 && len(y) > 1 && x[0] == y[0] && x[1] == y[1]
}

// told is an ending in three words: kind, result and reason.
func told(e rollout.Entry) string {
	out := fmt.Sprint(e.Kind, " ", e.Result)
	if e.Evidence != nil {
		out += " " + e.Evidence.Reason
	}
	return out
}

// shows says what phase, condition, next step and image are not yet what the row comes to.
func (e entry) shows(t *Telling) error {
	v := t.view("orders")
	if v == nil {
		return errors.New("nothing is told")
	}
	var err error
	if string(v.Status.Phase) != e.phase {
		err = fmt.Errorf("phase %s, want %s", v.Status.Phase, e.phase)
	}
	if kind, _, _ := strings.Cut(e.cond, " "); e.cond != "-" {
		c := v.Status.Condition(condition.Type(kind))
		if got := fmt.Sprint(c.Type, " ", c.Status, " ", c.Reason); got != e.cond && !(t.opts.Outermost != nil && sameResult(got, e.cond)) {
			err = errors.Join(err, fmt.Errorf("%s (%s), want %s", got, c.Message, e.cond))
		}
	}
	if t.opts.Outermost == nil && !regexp.MustCompile(e.next).MatchString(v.Status.Next) {
		err = errors.Join(err, fmt.Errorf("the next step is %q, want %s", v.Status.Next, e.next))
	}
	if got := t.running("orders"); e.serves != "-" && got != e.serves {
		err = errors.Join(err, fmt.Errorf("%q serves, want %s", got, e.serves))
	}
	if rejected := len(t.record("orders").Rejected) > 0; rejected != (e.class == "product") {
		err = errors.Join(err, fmt.Errorf("rejected: %t", rejected))
	}
	if err != nil {
		err = fmt.Errorf("%w (%s)", err, v.Status.Why)
	}
	return err
}

// mend takes the cause away, and waits for what comes of that.
func (e entry) mend(t *Telling) error {
	if e.mended == "-" {
		return nil
	}
	t.journal.add("catalogue", "mended")
	if err := t.account.RemoveFault(0); err != nil {
		return fmt.Errorf("mend: %w", err)
	}
	t.faults.Clear()
	want, line, word := strings.Cut(e.mended, " after ")
	if word {
		if err := do(t, line); err != nil {
			return err
		}
	}
	image, phase, _ := strings.Cut(want, " ")
	return t.Await(40*time.Minute, func() error { return errors.Join(t.serves("orders", image), t.phase("orders", phase)) })
}

// likenesses are what a service can be like, by the words in brackets. Some are git's alone: prepare has those.
var likenesses = map[string]func(*Options){
	"migration":         func(*Options) {},
	"long bake":         func(*Options) {},
	"tight percentages": func(*Options) {},
	"one task":          func(*Options) {},
	"required line":     func(*Options) {},
	"secret in SSM":     infra("parameters:\n", "parameters:\n  - {name: /NAME/limit, value: a-planted-secret-value, type: SecureString}\n"),
	"health check":      infra("        essential: true\n", "        essential: true\n        healthCheck: {command: [CMD, check], interval: 10, timeout: 5, retries: 2}\n"),
	"grace of 1h":       infra("    launchType: FARGATE\n", "    launchType: FARGATE\n    healthCheckGracePeriodSeconds: 3600\n"),
	"drains for long":   infra("deregistrationDelay: 5s", "deregistrationDelay: 400s"),
	"on Spot":           infra("    launchType: FARGATE\n", "    capacityProviderStrategy: [{capacityProvider: FARGATE_SPOT, weight: 1}]\n"),
	"sidecar":           infra("    containerDefinitions:\n", "    containerDefinitions:\n      - {name: sidecar, image: \"${repository:NAME}:sidecar\", essential: true}\n"),
	"at AWS's pace":     func(o *Options) { o.Timing = timing() },
	"no breaker":        func(o *Options) { o.Doubts.EarlyExitsIgnored = true },
}

// infra is another text of the infrastructure's.
func infra(old, text string) func(*Options) {
	return func(o *Options) {
		o.Infra = func(base string) string {
			if !strings.Contains(base, old) {
				panic("story: base/account.yaml has no " + old)
			}
			return strings.Replace(base, old, text, 1)
		}
	}
}
