package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// The last parts of the ARNs that a pretended write answers. ECS gives no such ones.
const (
	newRevision = "(new)"
	newTask     = "(planned)"
)

// Pretence is what an account would show if writes that were only pretended had been made, and if what is looked beyond did
// not hold. The zero value pretends nothing.
type Pretence struct {
	tags      map[string]string
	parameter *string
	revisions map[string]observed.Revision
	migration *observed.Task

	// What is looked beyond.
	NoHold    bool // the tag of a person
	NoStack   bool // the infrastructure at work
	Startable bool // whatever must be startable is
	Scaled    bool // the service is not scaled to 0
	Pushed    bool // the images are in the registry
	Quiet     bool // no alarm is red
	Readable  bool // the versions of secrets can be seen
}

// Do pretends that the action was done, and answers what the account would: always that it succeeded.
func (p *Pretence) Do(a rollout.Action, seen observed.Service) rollout.Outcome {
	switch a := a.(type) {
	case rollout.Tag:
		p.tags = merged(p.tags, a.Set)
	case rollout.Keep:
		p.parameter = &a.Revision
	case rollout.Register:
		arn := beside(seen, newRevision)
		p.revisions = merged(p.revisions, map[string]observed.Revision{
			arn: {ARN: arn, Active: true, Ask: a.Ask, Fingerprint: a.Fingerprint, Commit: a.Commit},
		})
		return rollout.Outcome{Revision: arn}
	case rollout.RunMigration:
		p.migration = &observed.Task{
			ARN: newTask, LastStatus: "STOPPED", DesiredStatus: "STOPPED", StopCode: "EssentialContainerExited", StartedAt: seen.At,
			Containers: []observed.Container{{Name: a.Container, Exited: true}},
		}
		return rollout.Outcome{Task: newTask}
	case rollout.Roll:
		return rollout.Outcome{Deployment: newTask}
	}
	return rollout.Outcome{}
}

// beside is the ARN of another revision in the service's own family.
func beside(seen observed.Service, revision string) string {
	arn := seen.TaskDefinition[:strings.LastIndexByte(seen.TaskDefinition, '/')+1]
	return arn + seen.Name + ":" + revision
}

// Ask is the look without what only the pretence knows: nobody may be asked for a revision that does not exist.
func (p *Pretence) Ask(look observed.Look) observed.Look {
	unreal := func(arn string) bool { _, ok := p.revisions[arn]; return ok }
	look.Revisions = slices.DeleteFunc(slices.Clone(look.Revisions), unreal)
	look.Startable = slices.DeleteFunc(slices.Clone(look.Startable), unreal)
	look.Containers = maps.Clone(look.Containers)
	maps.DeleteFunc(look.Containers, func(_, reference string) bool { return strings.HasPrefix(reference, notPushed) })
	if look.Migration == newTask {
		look.Migration, look.MigrationLog = "", false
	}
	return look
}

// Over lays the pretence over what the account showed. look is what was asked for, what Ask took out of it included.
func (p *Pretence) Over(seen observed.Service, look observed.Look) observed.Service {
	seen.Tags = merged(seen.Tags, p.tags)
	seen.Revisions = merged(seen.Revisions, p.revisions)
	seen.Startable = maps.Clone(seen.Startable)
	for _, arn := range look.Startable {
		if _, unreal := p.revisions[arn]; unreal || p.Startable {
			seen.Startable = merged(seen.Startable, map[string]observed.Startable{arn: {OK: true}})
		}
	}
	if p.parameter != nil && seen.Parameter != nil {
		seen.Parameter = p.parameter
	}
	if look.Migration == newTask {
		seen.Migration = p.migration
	}
	if p.NoHold {
		delete(seen.Tags, rollout.TagHold)
	}
	if p.NoStack {
		seen.Stack.InProgress = false
	}
	if p.Scaled {
		seen.Desired = max(seen.Desired, 1)
	}
	var had []observed.Fact
	if p.Startable {
		had = append(had, observed.FactStartable)
	}
	if p.Pushed {
		had = append(had, observed.FactImages)
		seen.Images = pushed(seen.Images, look)
	}
	if p.Quiet {
		had = append(had, observed.FactAlarms)
		seen.Alarms = quiet(look.Alarms)
	}
	if p.Readable {
		had = append(had, observed.FactSecrets)
		seen.Secrets, _ = versions(rollout.Record{}, seen.Secrets, look)
	}
	seen.Missing = slices.DeleteFunc(slices.Clone(seen.Missing), func(m observed.Missing) bool { return slices.Contains(had, m.Fact) })
	return seen
}

func quiet(names []string) []observed.Alarm {
	var alarms []observed.Alarm
	for _, name := range names {
		alarms = append(alarms, observed.Alarm{Name: name, State: observed.AlarmOK})
	}
	return alarms
}

// versions adds the versions of the secrets that nobody looked at: those that the record knows, else one that no secret has. It
// says which secrets they are of.
func versions(rec rollout.Record, secrets map[string]string, look observed.Look) (map[string]string, []string) {
	known := map[string]string{}
	if rec.Good != nil {
		known = merged(known, rec.Good.Secrets)
	}
	if rec.Rollout != nil {
		known = merged(known, rec.Rollout.Secrets)
	}
	var unseen []string
	secrets = merged(secrets, nil)
	for _, reference := range look.Secrets {
		if _, ok := secrets[reference]; !ok {
			secrets[reference] = cmp.Or(known[reference], "(not looked at)")
			unseen = append(unseen, reference)
		}
	}
	return secrets, unseen
}

// pushed makes up what the registry would answer for what it does not have.
func pushed(images map[string]observed.Image, look observed.Look) map[string]observed.Image {
	images = merged(images, nil)
	for container, reference := range look.Containers {
		if images[container].Digest == "" {
			images[container] = observed.Image{Tag: reference, Digest: unknownDigest(reference)}
		}
	}
	return images
}

// unknownDigest stands for the digest of what is not in the registry: git's own where it gives one, else one that no image
// has.
func unknownDigest(reference string) string {
	if strings.HasPrefix(reference, "sha256:") {
		return reference
	}
	sum := sha256.Sum256([]byte("not pushed yet: " + reference))
	return notPushed + hex.EncodeToString(sum[:])[len(notPushed)-len("sha256:"):]
}

// notPushed is how a digest begins that was made up.
const notPushed = "sha256:0000000000000000"

// digestOf is a digest as it is shown, empty where it was made up.
func digestOf(digest string) string {
	if strings.HasPrefix(digest, notPushed) {
		return ""
	}
	return digest
}

func merged[V any](a, b map[string]V) map[string]V {
	out := make(map[string]V, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// Recall answers a look from an observation that was made before, and says what had to be assumed: that what nobody looked
// at is as it must be. history answers the finished rollouts, newest first; it is asked for an image that the record does not
// know. A fact of the look that there is no assuming about is Missing.
func Recall(rec rollout.Record, seen observed.Service, look observed.Look, history func() []rollout.Entry) (observed.Service, []string) {
	var assumed []string
	assume := func(format string, args ...any) { assumed = append(assumed, fmt.Sprintf(format, args...)) }
	images := map[string]observed.Image{}
	for _, container := range slices.Sorted(maps.Keys(look.Containers)) {
		reference := look.Containers[container]
		image := seen.Images[container]
		if image.Digest == "" || image.Tag != reference && image.Digest != reference {
			image = observed.Image{Tag: reference, Digest: unknownDigest(reference)}
			what := "the registry has %s"
			if digest := pushedAs(rec, history, container, reference); digest != "" {
				image.Digest, what = digest, "the registry has %s, and it is the image that it was"
			}
			if digestOf(reference) != "" {
				assume(what, reference)
			}
		}
		images[container] = image
	}
	seen.Images = images
	seen.Revisions = merged(seen.Revisions, nil)
	for _, arn := range look.Revisions {
		if _, ok := seen.Revisions[arn]; !ok && arn != "" {
			seen.Revisions[arn] = remembered(rec, arn)
			assume("revision %s is active", family(arn))
		}
	}
	seen.Startable = map[string]observed.Startable{}
	for _, arn := range look.Startable {
		seen.Startable[arn] = observed.Startable{OK: true}
		assume("%s could be started: its images and secrets are there", family(arn))
	}
	var unseen []string
	for _, name := range look.Alarms {
		if !slices.ContainsFunc(seen.Alarms, func(a observed.Alarm) bool { return a.Name == name }) {
			unseen = append(unseen, name)
		}
	}
	if len(unseen) > 0 {
		seen.Alarms = append(slices.Clone(seen.Alarms), quiet(unseen)...)
		assume("no alarm is red: %s", strings.Join(unseen, ", "))
	}
	secrets, unseenSecrets := versions(rec, seen.Secrets, look)
	if seen.Secrets = secrets; len(unseenSecrets) > 0 {
		assume("there are the secrets %s, with the values that they had", strings.Join(unseenSecrets, ", "))
	}
	seen.Missing = slices.DeleteFunc(slices.Clone(seen.Missing), func(m observed.Missing) bool {
		return m.Fact == observed.FactSecrets || m.Fact == observed.FactImages || m.Fact == observed.FactStartable || m.Fact == observed.FactAlarms
	})
	if look.Template && seen.Template == nil {
		if _, told := seen.Lacks(observed.FactTemplate); !told {
			seen.Missing = append(seen.Missing, observed.Missing{Fact: observed.FactTemplate, Message: "the controller has not looked at it yet"})
		}
	}
	return seen, assumed
}

// pushedAs is the digest that the reference had when the controller met it, empty where it did not. Tags of a registry that is
// kept well do not move.
func pushedAs(rec rollout.Record, history func() []rollout.Entry, container, reference string) string {
	var targets []rollout.Target
	if rec.Rollout != nil {
		targets = append(targets, rec.Rollout.Target)
	}
	if rec.Good != nil {
		targets = append(targets, rec.Good.Target)
	}
	for _, t := range targets {
		if c, ok := t.Containers.Get(container); ok && c.Tag == reference {
			return c.Digest
		}
	}
	for _, e := range history() {
		if i := slices.Index(e.Images, container+":"+reference); i >= 0 && i < len(e.Digests) {
			return e.Digests[i]
		}
	}
	return ""
}

func remembered(rec rollout.Record, arn string) observed.Revision {
	r := observed.Revision{ARN: arn, Active: true}
	for _, k := range rec.Known {
		if k.Revision == arn {
			r.Fingerprint = k.Fingerprint
		}
	}
	if rec.Good != nil && rec.Good.Revision == arn {
		r.Fingerprint, r.Ask, r.Commit = rec.Good.Fingerprint, rec.Good.Target.Ask, rec.Good.Target.Commit.SHA
	}
	return r
}

// family is the readable part of a revision's ARN: family:revision.
func family(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
