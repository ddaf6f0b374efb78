package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// Changes are the differences between the task definition that runs and the one that would.
type Changes struct {
	// Whole says that these are all: whole task definitions were compared, or the template is surely the same. Else only what git
	// decides was compared: images, env and secrets of the containers that it declares.
	Whole bool     `json:"whole"`
	List  []Change `json:"list"`
	// Note says what could not be compared, and why.
	Note string `json:"note,omitempty"`
	More int    `json:"more,omitempty"` // differences beyond the list's bound
}

// What a difference is about.
const (
	AboutContainer = "container" // the whole container
	AboutImage     = "image"
	AboutEnv       = "env"
	AboutSecret    = "secret" // a reference; values are never read
	AboutField     = "field"  // anything else, by its path
)

// Change is one difference. From is absent where something is added, To where it is removed.
type Change struct {
	Container string  `json:"container,omitempty"` // empty for what belongs to the task
	About     string  `json:"about"`
	Name      string  `json:"name,omitempty"`
	From      *string `json:"from,omitempty"`
	To        *string `json:"to,omitempty"`
	Hidden    bool    `json:"hidden,omitempty"` // From and To are not shown: they look like secrets
}

// The bounds of what is shown.
const (
	changesMax = 200
	valueMax   = 200 // characters
)

// hiddenValue stands for a value that looks like a secret.
const hiddenValue = "(hidden)"

// definition is a task definition as it is compared.
type definition struct {
	task       map[string]string
	containers map[string]container
}

type container struct {
	tag     string // of the image, where it is known
	image   string
	env     map[string]string
	secrets map[string]string
	fields  map[string]string
}

// parse reads canonical JSON of a task definition.
func parse(content string) (definition, error) {
	decoder := json.NewDecoder(strings.NewReader(content))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return definition{}, fmt.Errorf("read a task definition: %w", err)
	}
	d := definition{task: map[string]string{}, containers: map[string]container{}}
	list, _ := tree["ContainerDefinitions"].([]any)
	delete(tree, "ContainerDefinitions")
	flatten(d.task, "", tree)
	for _, item := range list {
		c, ok := item.(map[string]any)
		if !ok {
			continue
		}
		image, _ := c["Image"].(string)
		name, _ := c["Name"].(string)
		out := container{image: image, env: pairs(c["Environment"], "Value"), secrets: pairs(c["Secrets"], "ValueFrom"), fields: map[string]string{}}
		for _, member := range []string{"Image", "Name", "Environment", "Secrets"} {
			delete(c, member)
		}
		flatten(out.fields, "", c)
		d.containers[name] = out
	}
	return d, nil
}

func pairs(list any, member string) map[string]string {
	out := map[string]string{}
	items, _ := list.([]any)
	for _, item := range items {
		o, _ := item.(map[string]any)
		name, _ := o["Name"].(string)
		out[name], _ = o[member].(string)
	}
	return out
}

// flatten writes every value under its path, with the names of AWS's JSON: portMappings[0].containerPort. A list of plain
// values is one value.
func flatten(into map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			flatten(into, strings.TrimPrefix(path+"."+lower(k), "."), member)
		}
	case []any:
		if slices.ContainsFunc(v, func(item any) bool { _, nested := item.(map[string]any); return nested }) {
			for i, item := range v {
				flatten(into, path+"["+strconv.Itoa(i)+"]", item)
			}
			return
		}
		text, _ := json.Marshal(v)
		into[path] = string(text)
	default:
		into[path] = fmt.Sprint(v)
	}
}

func lower(name string) string {
	for i, r := range name {
		return string(unicode.ToLower(r)) + name[i+len(string(r)):]
	}
	return name
}

// declared is what git decides of a task definition.
func declared(t rollout.Target) definition {
	d := definition{containers: map[string]container{}}
	for name, c := range t.Containers.All() {
		d.containers[name] = container{tag: c.Tag, image: c.Image, env: c.Env, secrets: c.Secrets}
	}
	return d
}

// tagged adds the tags that the target's images are called by.
func (d definition) tagged(t rollout.Target) definition {
	for name, c := range d.containers {
		if known, ok := t.Containers.Get(name); ok && strings.HasSuffix(c.image, known.Digest) {
			c.tag = known.Tag
			d.containers[name] = c
		}
	}
	return d
}

// diff lists the differences in order of container, what they are about, and name.
func diff(from, to definition) []Change {
	out := differences("", AboutField, from.task, to.task)
	for _, name := range union(from.containers, to.containers) {
		a, had := from.containers[name]
		b, has := to.containers[name]
		if !had || !has {
			out = append(out, Change{Container: name, About: AboutContainer, From: text(name, had), To: text(name, has)})
		}
		if x, y := imageText(a), imageText(b); a.image != b.image {
			out = append(out, Change{Container: name, About: AboutImage, From: text(x, had), To: text(y, has)})
		}
		out = append(out, differences(name, AboutEnv, a.env, b.env)...)
		out = append(out, differences(name, AboutSecret, a.secrets, b.secrets)...)
		out = append(out, differences(name, AboutField, a.fields, b.fields)...)
	}
	return out
}

func differences(container, about string, from, to map[string]string) []Change {
	var out []Change
	for _, name := range union(from, to) {
		a, had := from[name]
		b, has := to[name]
		if had == has && a == b {
			continue
		}
		c := Change{Container: container, About: about, Name: name, From: text(clip(a), had), To: text(clip(b), has)}
		if about != AboutSecret && (desired.LooksSecret(lastWord(name), a) || desired.LooksSecret(lastWord(name), b)) {
			c.From, c.To, c.Hidden = text(hiddenValue, had), text(hiddenValue, has), true
		}
		out = append(out, c)
	}
	return out
}

// lastWord is the last part of a path, which names the value.
func lastWord(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func union[V any](a, b map[string]V) []string {
	return slices.Sorted(maps.Keys(merged(a, b)))
}

func text(s string, there bool) *string {
	if !there {
		return nil
	}
	return &s
}

// imageText is an image as people compare it: repository, tag and the digest's beginning.
func imageText(c container) string {
	repository, digest, _ := strings.Cut(c.image, "@")
	out := repository[strings.LastIndexByte(repository, '/')+1:]
	if c.tag != "" {
		out += ":" + c.tag
	}
	switch {
	case digest != "" && digestOf(digest) == "":
		return out + " (digest not known yet)"
	case digest != "":
		return out + "@" + digest[:min(len(digest), len("sha256:")+12)]
	}
	return out
}

func clip(s string) string {
	if r := []rune(s); len(r) > valueMax {
		return string(r[:valueMax]) + "…"
	}
	return s
}

// changesOf compares what runs with what would run, as far as both are known.
func changesOf(r Rehearsed) *Changes {
	ro := r.After.Rollout
	if ro == nil {
		return nil
	}
	good := r.Told.Good
	runs := good != nil && good.Revision == r.Seen.TaskDefinition
	out := &Changes{}
	from, errFrom := parse(r.From)
	to, errTo := parse(r.To)
	switch {
	case errFrom == nil && errTo == nil:
		if runs {
			from = from.tagged(good.Target)
		}
		out.Whole, out.List = true, diff(from, to.tagged(ro.Target))
	case runs && len(good.Target.Containers) > 0 && len(ro.Target.Containers) > 0:
		out.List = diff(declared(good.Target), declared(ro.Target))
		if out.Whole = good.OnTemplate(r.Seen.Template); !out.Whole {
			out.Note = "The infrastructure has changed the template since. What changed in it can be read in the account only: plan without --server."
		}
	case len(ro.Target.Containers) == 0:
		out.Note = "Not known: what the last good revision holds can be read in the account only."
	default:
		out.Note = fmt.Sprintf("What runs, %s, could not be compared: its content is not known here.", cmp.Or(family(r.Seen.TaskDefinition), "nothing"))
	}
	if more := len(out.List) - changesMax; more > 0 {
		out.List, out.More = out.List[:changesMax], more
	}
	return out
}
