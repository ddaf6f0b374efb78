package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

var update = flag.Bool("update", false, "write the templates of testdata anew")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

type object = map[string]any

// synthesized are the templates of one pair of stacks.
type synthesized struct{ base, main object }

// synth makes the templates of s. It is the program's own way, without a process of its own.
func synth(t *testing.T, s Settings) synthesized {
	t.Helper()
	app := newApp(nil, t.TempDir())
	build(app, s)
	assembly := app.Synth(nil)
	read := func(name string) object {
		text, err := json.Marshal(assembly.GetStackByName(&name).Template())
		if err != nil {
			t.Fatal(err)
		}
		var template object
		if err := json.Unmarshal(text, &template); err != nil {
			t.Fatal(err)
		}
		return template
	}
	return synthesized{base: read(s.baseStackName()), main: read(s.stackName())}
}

// anImage is the controller's in these tests: the real one changes with every build, and nothing else does with it.
const anImage = "0000000"

// settingsOf are an environment's, of cdk.json, with anImage.
func settingsOf(t *testing.T, env string) Settings {
	t.Helper()
	s, err := readSettings(func(key string) any {
		if key == "env" {
			return env
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Controller.Image = anImage
	return s
}

// all are the environments of cdk.json.
func all(t *testing.T) []string {
	t.Helper()
	envs, err := environments(func(string) any { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range envs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var (
	kept   = map[string]synthesized{}
	keptMu sync.Mutex
)

// templates are an environment's, synthesized once for all tests.
func templates(t *testing.T, env string) synthesized {
	t.Helper()
	keptMu.Lock()
	defer keptMu.Unlock()
	if _, ok := kept[env]; !ok {
		kept[env] = synth(t, settingsOf(t, env))
	}
	return kept[env]
}

func golden(env, stack string) string {
	return filepath.Join("testdata", env, stack+".template.json")
}

func write(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// resources of one type, by logical id.
func resources(template object, kind string) map[string]object {
	found := map[string]object{}
	for id, r := range template["Resources"].(object) {
		if r := r.(object); r["Type"] == kind {
			found[id] = r
		}
	}
	return found
}

// properties of the one resource of a type whose member has that value.
func properties(t *testing.T, template object, kind, member, value string) object {
	t.Helper()
	for _, r := range resources(template, kind) {
		if p, _ := r["Properties"].(object); p[member] == value {
			return p
		}
	}
	t.Fatalf("there is no %s whose %s is %q", kind, member, value)
	return nil
}

// policies are all policy documents of a template, by where they stand.
func policies(template object) map[string]object {
	found := map[string]object{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case object:
			if _, ok := v["Statement"]; ok {
				found[path] = v
			}
			for k, member := range v {
				walk(path+"."+k, member)
			}
		case []any:
			for _, item := range v {
				walk(path, item)
			}
		}
	}
	for id, r := range template["Resources"].(object) {
		walk(id, r.(object)["Properties"])
	}
	return found
}

// list is a member that may be one thing or several.
func list(v any) []any {
	if many, ok := v.([]any); ok {
		return many
	}
	return []any{v}
}

func has(v any, part string) bool {
	text, _ := json.Marshal(v)
	return strings.Contains(string(text), part)
}

var _ awscdk.App // the tests' app is the program's
