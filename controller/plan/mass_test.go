package plan

import (
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

func TestMassNote(t *testing.T) {
	policy := desired.MassChangePolicy{Share: 50, AtLeast: 2}
	changes := Service{Running: &Version{}, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Effect: EffectChange}
	waits, template, first, quiet := changes, changes, changes, Service{Running: &Version{}, Effect: EffectNone}
	waits.Effect, template.Trigger, first.Running = EffectWait, rollout.TriggerTemplate, nil
	for name, c := range map[string]struct {
		services []Service
		want     string
	}{
		"two of three":            {[]Service{changes, waits, quiet}, "2 of 3 services would change at once, more than 50%"},
		"half":                    {[]Service{changes, waits, quiet, quiet}, ""},
		"one of one":              {[]Service{changes}, ""},
		"new ones are no change":  {[]Service{first, first, first, quiet}, ""},
		"templates are not git's": {[]Service{template, template, template}, ""},
	} {
		got := Plan{Services: c.services}.MassNote(policy)
		if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) || got != "" && !strings.HasSuffix(got, "Confirm-Mass-Change: 2.") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
