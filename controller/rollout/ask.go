package rollout

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// hashVersion stands before every hash. A hash of another version is another ask: it may only change together with a
// way to carry what is remembered over, or an upgrade of the controller would roll every service.
const hashVersion = "v1:"

// resolve makes a target of an intent. It returns the references (tags, or digests that git gave) that are not known to
// exist yet; then the target is not to be used. A reference is looked up once and pinned, so that a tag moved in the
// registry changes nothing that git did not ask for.
func resolve(intent Intent, repository string, pins Words) (Target, []string) {
	spec := intent.Service.Spec
	target := Target{Commit: intent.Commit, Migration: spec.Migration, Spec: &spec}
	containers := make(map[string]Container, len(spec.Containers))
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(spec.Containers)) {
		c := spec.Containers[name]
		digest, ok := pins.Get(reference(c.Image))
		if !ok {
			unknown = append(unknown, reference(c.Image))
			continue
		}
		containers[name] = Container{Image: repository + "@" + digest, Tag: c.Image.Tag, Digest: digest, Env: c.Env, Secrets: c.Secrets}
	}
	target.Containers = NamedOf(containers)
	target.Ask = askOf(target)
	target.Key = migrationKey(target)
	return target, unknown
}

// reference is what the registry is asked for: the digest where git gives one, else the tag.
func reference(i desired.Image) string {
	if i.Digest != "" {
		return i.Digest
	}
	return i.Tag
}

// pin adds what the registry answered and forgets references that nothing names any more.
func pin(rec Record, images map[string]observed.Image) Words {
	if rec.Intent == nil {
		return nil
	}
	pins := map[string]string{}
	for name, c := range rec.Intent.Service.Spec.Containers {
		ref := reference(c.Image)
		if digest, ok := rec.Pins.Get(ref); ok {
			pins[ref] = digest
		} else if image, ok := images[name]; ok && image.Digest != "" && (image.Tag == ref || image.Digest == ref) {
			pins[ref] = image.Digest
		}
	}
	return NamedOf(pins)
}

func askOf(t Target) string {
	type container struct {
		Digest  string            `json:"digest"`
		Env     map[string]string `json:"env,omitempty"`
		Secrets map[string]string `json:"secrets,omitempty"`
	}
	ask := struct {
		Containers map[string]container `json:"containers"`
		Container  string               `json:"migrationContainer,omitempty"`
		Command    []string             `json:"migrationCommand,omitempty"`
	}{Containers: map[string]container{}}
	for name, c := range t.Containers.All() {
		ask.Containers[name] = container{c.Digest, c.Env, c.Secrets}
	}
	if t.Migration != nil {
		ask.Container, ask.Command = t.Migration.Container, t.Migration.Command
	}
	return hashJSON(ask)
}

func migrationKey(t Target) string {
	if t.Migration == nil {
		return ""
	}
	return hashJSON([]any{t.Migration.Lock, t.Migration.Command, t.Containers.Of(t.Migration.Container).Digest})
}

// fingerprint is everything that enters the task definition: the ask and the template's content, and where a new value of a
// secret is to restart the tasks, which versions those are. Equal fingerprint, nothing to register. Without secrets it is what
// it was before they could be part of it: an upgrade rolls nothing.
func fingerprint(ask string, template observed.Template, secrets map[string]string) string {
	if len(secrets) == 0 {
		return hashJSON([]string{ask, template.Content})
	}
	return hashJSON([]any{ask, template.Content, secrets})
}

// token is RunTask's client token: at most 64 characters of ASCII 33–126
// (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html). It is made of what git and the account
// say, the stack too, as another one has another cluster and another database, and of no number that only the ledger has: a controller
// that lost its ledger while the task runs asks for the same task.
// over is how many tasks of the same migration have ended before it, which the account says again (see Try).
func token(rec Record, over int) string {
	ro := rec.Rollout
	sum := sha256.Sum256([]byte(strings.Join([]string{rec.Service, rec.Intent.Service.Spec.Stack, ro.Target.Key, ro.Fingerprint, strconv.Itoa(ro.Retry), strconv.Itoa(over)}, "\x00")))
	return "migrate-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:40])
}

// checksHash is the hash of one check's parameters as git has them.
func checksHash(spec desired.ServiceSpec, check string) string {
	return hashJSON(json.RawMessage(canonical(spec.Verify.Checks[check])))
}

// canonical orders the keys, so that moving a line in a file is not a change.
func canonical(raw json.RawMessage) []byte {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return []byte("null")
	}
	out, _ := json.Marshal(v)
	return out
}

// hashJSON relies on encoding/json writing map keys in order.
func hashJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("rollout: hash of a value that JSON cannot hold: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hashVersion + hex.EncodeToString(sum[:])
}

// Name is the target as people call it: the tags of its containers, each once.
func (t Target) Name() string {
	var tags []string
	for _, c := range t.Containers.All() {
		if tag := c.Tag; tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		return short(t.Ask)
	}
	return strings.Join(tags, "+")
}

// Images are the target's images as container:tag, in order of container.
func (t Target) Images() []string {
	var out []string
	for name, c := range t.Containers.All() {
		out = append(out, name+":"+c.Tag)
	}
	return out
}

// digests are the target's images by container, as a look asks for them.
func (t Target) digests() map[string]string {
	out := map[string]string{}
	for name, c := range t.Containers.All() {
		out[name] = c.Digest
	}
	return out
}

func short(hash string) string {
	hash = strings.TrimPrefix(hash, hashVersion)
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}

// Images are the images that git asks for as container:tag, in order of container.
func (i Intent) Images() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(i.Service.Spec.Containers)) {
		out = append(out, name+":"+i.Service.Spec.Containers[name].Image.Tag)
	}
	return out
}

// markPrefix begins what is said of a migration's task to be by whom it was started.
const markPrefix = "deploy-"

// TaskMark is the mark of a migration's request on its task (startedBy), by the request's token. ECS took at most 36 characters of
// letters, digits, - and _ there for long.
func TaskMark(token string) string {
	sum := sha256.Sum256([]byte(token))
	return markPrefix + hex.EncodeToString(sum[:12])
}

// IsTaskMark reports whether a task was started by a controller.
func IsTaskMark(startedBy string) bool {
	return len(startedBy) == len(markPrefix)+24 && strings.HasPrefix(startedBy, markPrefix)
}

// Asks is what the newest valid word of git comes to, as far as it is told to others: its images lack the repository's name. known is
// false where there is no word, or where the digest of one of its images is not known yet.
func (r Record) Asks() (t Target, known bool) {
	if r.Intent == nil {
		return Target{}, false
	}
	t, unknown := resolve(*r.Intent, "", r.Pins)
	return t, len(unknown) == 0
}
