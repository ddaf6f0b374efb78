package rollout

import (
	"maps"
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// A new value of a secret changes no text of the task definition, and tasks read it at their start only. Where git says
// onSecretChange: restart, the versions that secrets have are part of the fingerprint: another version is another revision of
// the same ask, which is rolled like a changed template, without a migration. Nothing is forced.

// secretsWatched are the references whose versions must be seen: those of what git asks and of the last good version.
func secretsWatched(rec Record) []string {
	if rec.Intent == nil || rec.Intent.Service.Spec.OnSecretChange != desired.SecretRestart {
		return nil
	}
	set := map[string]bool{}
	for _, c := range rec.Intent.Service.Spec.Containers {
		for _, reference := range c.Secrets {
			set[reference] = true
		}
	}
	if rec.Good != nil {
		for _, reference := range referencesOf(rec.Good.Target) {
			set[reference] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func referencesOf(t Target) []string {
	var out []string
	for _, c := range t.Containers.All() {
		for _, reference := range c.Secrets {
			out = append(out, reference)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// secretsOf are the versions of the target's secrets where they are to be part of its fingerprint, or why they could not be
// seen. Where a service no longer restarts, what serves keeps the versions that it was registered with: nothing is rolled
// because of a policy.
func secretsOf(in Input, rec Record, goal Target) (versions map[string]string, missing string) {
	references := referencesOf(goal)
	if len(references) == 0 {
		return nil, ""
	}
	if rec.Intent.Service.Spec.OnSecretChange != desired.SecretRestart {
		if rec.Good != nil && rec.Good.Target.Ask == goal.Ask {
			return rec.Good.Secrets, ""
		}
		return nil, ""
	}
	versions = map[string]string{}
	for _, reference := range references {
		v, ok := in.Seen.Secrets[reference]
		if !ok {
			m, _ := in.Seen.Lacks(observed.FactSecrets)
			if m.Message == "" {
				m.Message = "it was not looked at"
			}
			return nil, m.Message
		}
		versions[reference] = v
	}
	return versions, ""
}
