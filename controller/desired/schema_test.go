package desired_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/google/go-cmp/cmp"
)

// schemaOf is the schema as plain JSON.
func schemaOf(t *testing.T, kind string) map[string]any {
	t.Helper()
	text, err := desired.Schema(testKinds(), kind)
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// below is the schema at a path of properties; * is the value of any name.
func below(t *testing.T, s map[string]any, path string) map[string]any {
	t.Helper()
	for _, step := range strings.Split(path, ".") {
		next, ok := s["additionalProperties"].(map[string]any)
		if step != "*" {
			properties, _ := s["properties"].(map[string]any)
			next, ok = properties[step].(map[string]any)
		}
		if !ok {
			t.Fatalf("%s: no %s", path, step)
		}
		s = next
	}
	return s
}

func TestSchemaOfService(t *testing.T) {
	s := schemaOf(t, "service")
	if s["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("draft %v", s["$schema"])
	}
	for path, want := range map[string]map[string]any{
		"kind":                         {"const": "Service"},
		"apiVersion":                   {"const": "deploy/v1"},
		"spec.onFailure":               {"enum": []any{"revert", "freeze"}, "default": "revert"},
		"spec.migration.timeout":       {"type": "string", "default": "10m"},
		"spec.migration.compatibility": {"enum": []any{"backward", "breaking"}, "default": "backward"},
		"spec.verify.bake":             {"default": "2m"},
		"spec.verify.logs.within":      {"type": "string"},
		"spec.containers.*.image.tag":  {"type": "string"},
		"spec.suspend.until":           {"format": "date-time"},
		"spec.retry":                   {"type": "integer", "minimum": 0.0},
		"spec.verify.targets":          {"type": "object", "additionalProperties": false},
		"spec.containers.*.image":      {"required": []any{"tag"}},
		"spec":                         {"required": []any{"stack", "containers"}},
		"spec.containers.*.secrets":    {"type": "object"},
		"metadata":                     {"required": []any{"name"}},
		"spec.migration":               {"required": []any{"container", "command"}},
		"spec.verify":                  {"additionalProperties": false},
	} {
		got := below(t, s, path)
		for key, value := range want {
			if diff := cmp.Diff(value, got[key]); diff != "" {
				t.Errorf("%s %s: want (-), got (+):\n%s", path, key, diff)
			}
		}
	}
	if text, _ := json.Marshal(below(t, s, "spec.verify.logs")); strings.Contains(string(text), "required") {
		t.Errorf("a check's parameter is required: %s", text)
	}
}

// Each strategy has its own parameters; only the default one need not be named.
func TestSchemaOfStrategies(t *testing.T) {
	branches := below(t, schemaOf(t, "service"), "spec.rollout")["oneOf"].([]any)
	got := map[string][]string{}
	for _, b := range branches {
		b := b.(map[string]any)
		fields := slices.Sorted(maps.Keys(b["properties"].(map[string]any)))
		if _, required := b["required"]; required {
			fields = append(fields, "named")
		}
		got[below(t, b, "strategy")["const"].(string)] = fields
	}
	want := map[string][]string{
		"rolling":  {"deadline", "initialCount", "maximumPercent", "minimumHealthyPercent", "strategy"},
		"recreate": {"deadline", "order", "strategy", "named"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// TestSchemaIsClosedAndExplained: every mapping of fixed fields refuses others, and every field of the format says what it means.
func TestSchemaIsClosedAndExplained(t *testing.T) {
	for _, kind := range []string{"service", "environment"} {
		var visit func(path string, s map[string]any)
		visit = func(path string, s map[string]any) {
			properties, _ := s["properties"].(map[string]any)
			if properties != nil && s["additionalProperties"] != false {
				t.Errorf("%s %s is open", kind, path)
			}
			for name, p := range properties {
				p := p.(map[string]any)
				param := strings.HasPrefix(path, ".spec.verify") || strings.HasPrefix(path, ".spec.rollout")
				if _, ok := p["description"]; !ok && !param {
					t.Errorf("%s %s.%s has no description; write a comment at the Go field", kind, path, name)
				}
				visit(path+"."+name, p)
			}
			for _, key := range []string{"additionalProperties", "items"} {
				if inner, ok := s[key].(map[string]any); ok {
					visit(path+"."+key, inner)
				}
			}
		}
		visit("", schemaOf(t, kind))
	}
}

func TestSchemaOfNothing(t *testing.T) {
	if _, err := desired.Schema(testKinds(), "pod"); err == nil || !strings.Contains(err.Error(), "service and environment") {
		t.Errorf("got %v", err)
	}
}
