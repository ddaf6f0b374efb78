package pipeline

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestProductionIsGated: what changes production runs in GitHub's environment of that name, where somebody approves, and after the others.
func TestProductionIsGated(t *testing.T) {
	all := workflows(t)
	production := all["infra-deploy"].Jobs["production"]
	if production.Environment != "production" || !slices.Equal(production.Needs, []string{"deploy"}) || production.If != "" {
		t.Errorf("infra-deploy/production: %+v", production)
	}
	if copies := all["promote"].Jobs["copy"].Environment; copies != "${{ matrix.environment == 'prod' && 'production' || matrix.environment }}" {
		t.Errorf("promote/copy runs in %q", copies)
	}
}

// TestGates: pull requests have one job that runs always, knows every other, and is what branch protection asks for: GitHub reports
// a check by its job's name alone, whatever the workflow.
func TestGates(t *testing.T) {
	var checks, gates []string
	for name, w := range workflows(t) {
		if !w.On.PullRequest.is {
			continue
		}
		gate := w.Jobs["gate"]
		gates = append(gates, gate.Name)
		var others []string
		for id, j := range w.Jobs {
			checks = append(checks, cmp.Or(j.Name, id))
			if id != "gate" {
				others = append(others, id)
			}
		}
		slices.Sort(others)
		if got := slices.Sorted(slices.Values(gate.Needs)); gate.If != "always()" || !slices.Equal(got, others) {
			t.Errorf("%s: the gate runs if %q and needs %v, want always and %v", name, gate.If, got, others)
		}
		if w.On.PullRequest.filtered {
			t.Errorf("%s is filtered as a whole: its gate would be waited for for ever", name)
		}
	}
	if len(gates) != 2 {
		t.Errorf("%d workflows run on pull requests, want 2", len(gates))
	}
	for _, gate := range gates {
		if alike := slices.DeleteFunc(slices.Clone(checks), func(c string) bool { return c != gate }); len(alike) != 1 {
			t.Errorf("the gate %q is one of %d checks of that name: any of them would do", gate, len(alike))
		}
	}
	slices.Sort(gates)
	if got := required(t); !slices.Equal(got, gates) {
		t.Errorf("branch protection asks for %q, the gates are %q", got, gates)
	}
}

// required are the checks without which nothing is merged to main.
func required(t *testing.T) (contexts []string) {
	t.Helper()
	var rules struct {
		Rules []struct {
			Parameters struct {
				Checks []struct{ Context string } `yaml:"required_status_checks"`
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.github/rulesets/main.json")), &rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Rules {
		for _, c := range r.Parameters.Checks {
			contexts = append(contexts, c.Context)
		}
	}
	slices.Sort(contexts)
	return contexts
}

// TestProdHasOwners: the bot that writes desired/dev is let past main's rules and not past prod's, and people of that environment approve.
func TestProdHasOwners(t *testing.T) {
	type ruleset struct {
		Target       string
		BypassActors []struct {
			ID   string `yaml:"actor_id"`
			Type string `yaml:"actor_type"`
		} `yaml:"bypass_actors"`
		Rules []struct {
			Type       string
			Parameters map[string]any
		}
	}
	load := func(name string) (r ruleset, actors []string) {
		if err := yaml.Unmarshal([]byte(read(t, "../.github/rulesets/"+name)), &r); err != nil {
			t.Fatal(err)
		}
		for _, a := range r.BypassActors {
			actors = append(actors, a.ID)
		}
		return r, actors
	}
	branch, passBranch := load("main.json")
	push, passPush := load("prod.json")
	if branch.Target != "branch" || !slices.Equal(passBranch, []string{"DEPLOY_BOT"}) {
		t.Errorf("main: %+v", branch)
	}
	if push.Target != "push" || !slices.Equal(passPush, []string{"RELEASES_TEAM", "PROMOTE_BOT"}) {
		t.Errorf("prod: %+v", push)
	}
	if paths, _ := push.Rules[0].Parameters["restricted_file_paths"].([]any); push.Rules[0].Type != "file_path_restriction" || !slices.Contains(paths, any("desired/prod/**/*")) {
		t.Errorf("prod: %+v", push.Rules)
	}
	owners := ""
	for line := range strings.Lines(read(t, "../.github/CODEOWNERS")) {
		if fields := strings.Fields(line); len(fields) == 2 && (fields[0] == "*" || strings.HasPrefix("/desired/prod/order-processing.yaml", fields[0])) {
			owners = fields[1] // the last line that matches counts
		}
	}
	if owners != "@canteen/releases" {
		t.Errorf("desired/prod is %s's", owners)
	}
}
