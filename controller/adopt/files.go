package adopt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Environment is environment.yaml of an environment that has none yet.
func (r Running) Environment(env string) []byte {
	return fmt.Appendf(nil, `# yaml-language-server: $schema=../schema/environment.schema.json
apiVersion: deploy/v1
kind: Environment
metadata:
  name: %s
spec:
  account: %s
  region: %s
`, text(env), text(r.Account), text(r.Region))
}

// File is the service's file: what git must say so that what runs is what it asks. There must be no Trouble.
func (r Running) File(name string) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# yaml-language-server: $schema=../schema/service.schema.json")
	line("# Written by controller adopt from %s as it ran in cluster %s.", r.Revision, r.Cluster)
	line("apiVersion: deploy/v1\nkind: Service\nmetadata:\n  name: %s\nspec:\n  stack: %s\n  containers:", text(name), text(r.Stack))
	owned := r.Owned(r.Outputs["RepoUri"])
	for _, c := range owned {
		tag, known := c.tag()
		line("    %s:", text(c.Name))
		if !known {
			line("      # The registry has no tag for this image; these are its digest's first digits.")
		}
		line("      image: {tag: %s, digest: %s}", text(tag), text(c.digest()))
		template, _ := named(r.Template, c.Name)
		block(line, "env", beyond(c.Env, template.Env))
		block(line, "secrets", beyond(c.Secrets, template.Secrets))
	}
	line("  # The command that migrates its database, if it has one, cannot be seen from outside. It belongs here, with the next image:")
	line("  # migration: {container: %s, command: [\"…\"], timeout: 10m, lock: %s-db, compatibility: backward}", owned[0].Name, name)
	line("  # initialCount is for a service that stands at 0; otherwise the count belongs to whoever scales.")
	least, most := r.percents()
	line("  rollout: {strategy: rolling, minimumHealthyPercent: %d, maximumPercent: %d, initialCount: %d}", least, most, r.Desired)
	if r.Balanced {
		line("  verify:\n    targets: {}")
	}
	if len(r.Alarms) > 0 {
		alarms, _ := json.Marshal(r.Alarms) // strings always can be
		line("  # ECS watches these alarms while it deploys; the controller does where they stand under verify:")
		line("  #   alarms: {revertOn: %s}", alarms)
	}
	line("  onFailure: revert")
	return b.Bytes()
}

func block(line func(string, ...any), what string, values map[string]string) {
	if len(values) == 0 {
		return
	}
	line("      %s:", what)
	for _, k := range slices.Sorted(maps.Keys(values)) {
		line("        %s: %s", text(k), text(values[k]))
	}
}

// text is a string as a YAML scalar that is read as this string and nothing else: JSON's are YAML's. What cannot be seen is escaped.
func text(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // strings always can be
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// percents are how it is rolled now, or ECS's own default where its count leaves ECS no task to start or to stop.
func (r Running) percents() (least, most int) {
	if !r.moves() {
		return 100, 200
	}
	return r.Minimum, r.Maximum
}

// moves reports whether ECS may start or stop a task of it: the minimum is rounded up and the maximum down.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
func (r Running) moves() bool {
	return (r.Desired*r.Minimum+99)/100 < r.Desired || r.Desired*r.Maximum/100 > r.Desired
}

// Notes are what whoever adopts the service should know of it, each a sentence.
func (r Running) Notes() []string {
	notes := []string{"Whether it has a migration cannot be seen from outside: none is written. Add it together with the next image; that of the image that runs is taken to have run."}
	if r.Good != "" {
		notes = append(notes, fmt.Sprintf("A controller has had it before: its tag deploy:good names %s.", r.Good))
	}
	for _, c := range r.Owned(r.Outputs["RepoUri"]) {
		if !strings.Contains(c.Image, "@") {
			notes = append(notes, fmt.Sprintf("%s names the image of container %s by a tag. Git asks for its digest from the next version on; until then the tag must not be moved, or there is no way back to it.", r.Revision, c.Name))
		}
	}
	if !r.moves() {
		notes = append(notes, fmt.Sprintf("With %d tasks, its %d and %d percent let ECS neither start nor stop one: 100 and 200 are written.", r.Desired, r.Minimum, r.Maximum))
	}
	if r.RollsBack {
		notes = append(notes, "ECS puts a failed deployment of it back by itself. The controller's first rollout turns that off: then there is one who decides.")
	}
	if r.Outputs["TaskDefinitionParameter"] == "" {
		notes = append(notes, "Its stack has no output TaskDefinitionParameter: whatever deploys the service's own resource will send its task definition again, and the controller puts that right afterwards. "+
			"Let the service read it from a parameter (docs/adopt.md), or tell your tool to ignore it.")
	}
	return notes
}
