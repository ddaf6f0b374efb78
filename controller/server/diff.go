package server

import (
	"maps"
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// difference is one thing that git asks of a container, or that runs in it, and the other's word on it. Of a secret it has the
// reference and never the value.
type difference struct {
	Container string
	What      string
	Key       bool // What is a name of the environment
	Asked     string
	Runs      string
	Differs   bool
}

// differences compares what git asks with the version that the last verdict put there, in order of container: image, digest,
// environment, secrets. Nothing differs where nothing was put there yet. A digest that git leaves out is no difference.
func differences(asked map[string]desired.Container, runs *rollout.Target) []difference {
	var out []difference
	names := slices.Collect(maps.Keys(asked))
	if runs != nil {
		for name := range runs.Containers.All() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		want, wanted := asked[name]
		has := rollout.Container{}
		known := runs != nil
		if known {
			has = runs.Containers.Of(name)
		}
		line := func(what, a, b string) difference {
			return difference{Container: name, What: what, Asked: a, Runs: b, Differs: known && a != b}
		}
		out = append(out, line("image", want.Image.Tag, has.Tag))
		if digest := line("digest", want.Image.Digest, has.Digest); digest.Asked+digest.Runs != "" {
			digest.Differs = digest.Differs && (digest.Asked != "" || !wanted)
			out = append(out, digest)
		}
		for _, key := range keys(want.Env, has.Env) {
			d := line(key, want.Env[key], has.Env[key])
			d.Key, d.Differs = true, known && !same(want.Env, has.Env, key)
			out = append(out, d)
		}
		for _, key := range keys(want.Secrets, has.Secrets) {
			d := line(key, secretFrom(want.Secrets, key), secretFrom(has.Secrets, key))
			d.Key = true
			out = append(out, d)
		}
	}
	return out
}

func keys(a, b map[string]string) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(all)
	return slices.Compact(all)
}

// same tells an empty value from none.
func same(a, b map[string]string, key string) bool {
	x, in := a[key]
	y, also := b[key]
	return in == also && x == y
}

func secretFrom(refs map[string]string, key string) string {
	if ref, ok := refs[key]; ok {
		return "secret from " + ref
	}
	return ""
}
