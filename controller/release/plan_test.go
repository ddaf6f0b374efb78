package release

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
)

// Whose answers count is what the source's environment.yaml says; nobody is asked where there is nothing to prove.
func TestPromoteOpensItsSource(t *testing.T) {
	w, _, _ := promotions(t)
	repo := w.newClone()
	var opened []string
	source := func(ctx context.Context, env *desired.Environment) (Prover, error) {
		opened = append(opened, env.Metadata.Name+" "+env.Spec.Account)
		return says(Proof{Good: true})(ctx, env)
	}
	plan := func(p Promotion, open Source) (*Moves, error) { return Plan(t.Context(), repo, kinds(), p, open) }
	if _, err := plan(Promotion{From: "dev", To: "dev"}, source); err != nil || len(opened) > 0 {
		t.Errorf("%v: nothing is to be proven, and %v was asked", err, opened)
	}
	if _, err := plan(Promotion{From: "dev", To: "qa"}, source); err != nil || len(opened) != 1 || opened[0] != "dev 000000000000" {
		t.Errorf("%v: %v was asked", err, opened)
	}
	if m, err := plan(Promotion{From: "dev", To: "qa"}, nil); err != nil || len(m.List) != 1 || m.List[0].Proof.Why != "no controller was asked" {
		t.Errorf("without a source: %+v, %v", m, err)
	}
	w.write("desired/dev/environment.yaml", strings.Replace(environmentFile, "region", "reign", 1))
	w.commit("nobody can tell where dev is")
	if _, err := plan(Promotion{From: "dev", To: "qa"}, source); err == nil || !strings.Contains(err.Error(), "\ndesired/dev/environment.yaml:4:") || len(opened) != 1 {
		t.Errorf("error %v, %v was asked", err, opened)
	}
}

// counting is a check that counts how often a file which names it is parsed.
type counting struct{ parsed *int }

func (c counting) Check(json.RawMessage, *desired.ServiceSpec) []desired.Problem {
	*c.parsed++
	return nil
}
func (counting) Params() any { return &struct{}{} }

// What a promotion costs grows with the files, however many of them are promoted: each is read and parsed once, and by one git for all.
func TestPromoteReadsEachFileOnce(t *testing.T) {
	cost := func(services, moved int) (gits, plan, write int) {
		w := newWorld(t)
		last := w.commit("code")
		w.write("desired/qa/environment.yaml", strings.Replace(environmentFile, "name: dev", "name: qa", 1))
		for i := range services {
			name := fmt.Sprintf("orders-%d", i)
			file := strings.NewReplacer("name: orders", "name: "+name, "orders-dev", name).Replace(serviceFile) + "  verify: {counting: {}}\n"
			w.write("desired/qa/"+name+".yaml", file)
			if i < moved {
				file = strings.Replace(file, "0000000", last, 1)
			}
			w.write("desired/dev/"+name+".yaml", file)
		}
		w.commit("environments")
		repo, k := w.newClone(), kinds()
		var parsed int
		k.Checks = maps.Clone(k.Checks)
		k.Checks["counting"] = counting{&parsed}
		count := w.countGit()
		m, err := Plan(t.Context(), repo, k, Promotion{From: "dev", To: "qa"}, says(Proof{Good: true, Digest: digestA}))
		if err != nil || len(m.List) != moved {
			t.Fatalf("%+v, %v", m, err)
		}
		gits, plan, parsed = count(), parsed, 0
		if _, err = m.Write(t.Context(), repo); err != nil {
			t.Fatal(err)
		}
		return gits, plan, parsed
	}
	few, _, _ := cost(4, 2)
	many, plan, write := cost(20, 2)
	if few != many {
		t.Errorf("to plan for 4 services takes git %d times, for 20 it takes it %d times", few, many)
	}
	if plan != 2*20 || write != 2 {
		t.Errorf("of 20 services in each of two environments %d were parsed to plan, and %d to write two", plan, write)
	}
	more, _, _ := cost(20, 7)
	most, plan, write := cost(20, 12)
	if most-more != more-many || plan != 2*20 || write != 12 {
		t.Errorf("2, 7 and 12 of 20 to move take git %d, %d and %d times; the 12 take %d parsed to plan and %d to write", many, more, most, plan, write)
	}
}

// A file that is invalid, or that cannot be edited, holds up its own service alone; where services are named, it is those or none.
func TestPromoteBesideAFileThatCannotBe(t *testing.T) {
	w, first, last := promotions(t)
	named := func(name, file string) string {
		return strings.NewReplacer("name: orders", "name: "+name, "stack: orders", "stack: "+name).Replace(file)
	}
	dev, qa := w.asked("desired/dev/orders.yaml"), w.asked("desired/qa/orders.yaml")
	for file, content := range map[string]string{
		"dev/menu.yaml": named("menu", strings.Replace(dev, "env:", "envy:", 1)), "qa/menu.yaml": named("menu", qa),
		"dev/bills.yaml": named("bills", dev), "qa/bills.yaml": named("bills", strings.Replace(qa, "stack:", "stick:", 1)),
		"dev/shared.yaml": named("shared", dev) + "    side: {image: {tag: \"" + last + "\"}}\n",
		"qa/shared.yaml":  named("shared", strings.Replace(qa, "image: {", "image: &i {", 1)) + "    side: {image: *i}\n",
	} {
		w.write("desired/"+file, content)
	}
	w.commit("three that cannot be promoted")
	repo := w.newClone()
	promotion := Promotion{From: "dev", To: "qa"}
	m, err := Plan(t.Context(), repo, kinds(), promotion, says(Proof{Good: true, Digest: digestA}))
	if err != nil || len(m.List) != 1 || m.List[0].Service != "orders" || len(m.Refused) != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, want := range []string{"orders (app): " + first + " → " + last, "\nbills: not promoted\n- `desired/qa/bills.yaml is not valid:`\n- `desired/qa/bills.yaml:5:1: ", "\nmenu: not promoted\n- `desired/dev/menu.yaml is not valid:`\n- `desired/dev/menu.yaml:10:7: ",
		"\nshared: not promoted\n- `desired/qa/shared.yaml:11:19: spec.containers.side.image is written through an alias"} {
		if !strings.Contains(m.Text(), want) {
			t.Errorf("the text lacks %q:\n%s", want, m.Text())
		}
	}
	branch, err := m.Write(t.Context(), repo)
	w.must(err)
	if out, err := exec.Command("git", "-C", w.bare, "diff", "--name-only", "main", branch).Output(); err != nil || string(out) != "desired/qa/orders.yaml\n" {
		t.Errorf("the branch changes %s, %v", out, err)
	}
	for _, name := range []string{"bills", "menu", "shared"} {
		promotion.Services = []string{"orders", name}
		if m, err := Plan(t.Context(), repo, kinds(), promotion, says(Proof{Good: true, Digest: digestA})); err == nil || !strings.Contains(err.Error(), "/"+name+".yaml:") {
			t.Errorf("orders and %s: %+v, %v", name, m, err)
		}
	}
}
