package desired

import (
	_ "embed" // the comments of types.go are the descriptions of the schema
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

//go:embed types.go
var typesSource string

// percentPattern is what Percent reads.
const percentPattern = `^([1-9][0-9]?|100)%$`

// durationPattern is what Duration reads, as far as a pattern can say it.
const durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

// unescape takes back what encoding/json does for HTML; people read the schema too.
var unescape = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

// Schema is the JSON Schema (draft 2020-12) of KindService or KindEnvironment, in any case of letters: made of the types of this
// package and of the parameters' types of the given kinds, indented, with a newline at the end. It is for editors; the parser is
// stricter. Any other kind is an error.
func Schema(kinds Kinds, kind string) ([]byte, error) {
	docs, err := comments(typesSource)
	if err != nil {
		return nil, err
	}
	r := reflector(kinds, docs)
	var s *jsonschema.Schema
	switch strings.ToLower(kind) {
	case "service":
		s = r.Reflect(&Service{})
		details(s, serviceDetails())
		only(s, KindService)
	case "environment":
		s = r.Reflect(&Environment{})
		details(s, environmentDetails())
		only(s, KindEnvironment)
	default:
		return nil, fmt.Errorf("no schema of kind %q; there are service and environment", kind)
	}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", kind, err)
	}
	return []byte(unescape.Replace(string(out)) + "\n"), nil
}

// reflector writes every type out in its place: editors follow that best, and parameters of different kinds may have types of the
// same name.
func reflector(kinds Kinds, docs map[string]string) *jsonschema.Reflector {
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true}
	r.LookupComment = func(t reflect.Type, field string) string {
		if t.PkgPath() != reflect.TypeFor[Service]().PkgPath() {
			return ""
		}
		return docs[strings.TrimSuffix(t.Name()+"."+field, ".")]
	}
	r.Mapper = func(t reflect.Type) *jsonschema.Schema {
		switch {
		case t == durationType:
			return duration("")
		case t == percentType:
			return &jsonschema.Schema{Type: "string", Pattern: percentPattern, Examples: []any{"50%"}}
		case t == rolloutType:
			return rolloutSchema(kinds, docs)
		case t == verifyType:
			return verifySchema(kinds, docs)
		case t.Implements(enumType):
			return &jsonschema.Schema{Type: "string", Enum: anys(reflect.Zero(t).Interface().(Enum).Values())}
		}
		return nil
	}
	return r
}

func duration(description string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: durationPattern, Description: description, Examples: []any{"90s", "10m", "1h30m"}}
}

// rolloutSchema has one branch for each strategy, because each has its own parameters.
func rolloutSchema(kinds Kinds, docs map[string]string) *jsonschema.Schema {
	var branches []*jsonschema.Schema
	for _, name := range slices.Sorted(maps.Keys(kinds.Strategies)) {
		branch := paramsSchema(kinds.Strategies[name], kinds, docs)
		strategy := &jsonschema.Schema{Type: "string", Const: name, Description: docs["Rollout.Strategy"]}
		if name == DefaultStrategy {
			strategy.Default = DefaultStrategy
		} else {
			branch.Required = append(branch.Required, "strategy")
		}
		deadline := duration(docs["Rollout.Deadline"])
		deadline.Default = DefaultDeadline
		branch.Properties.Set("strategy", strategy)
		branch.Properties.Set("deadline", deadline)
		branches = append(branches, branch)
	}
	if len(branches) == 1 {
		return branches[0]
	}
	return &jsonschema.Schema{Type: "object", OneOf: branches}
}

func verifySchema(kinds Kinds, docs map[string]string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	bake := duration(docs["Verify.Bake"])
	bake.Default = DefaultBake
	s.Properties.Set("bake", bake)
	for _, name := range slices.Sorted(maps.Keys(kinds.Checks)) {
		s.Properties.Set(name, paramsSchema(kinds.Checks[name], kinds, docs))
	}
	return s
}

func paramsSchema(kind Kind, kinds Kinds, docs map[string]string) *jsonschema.Schema {
	t := paramsType(kind)
	if t == nil || t.Kind() != reflect.Struct {
		return &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties()}
	}
	s := reflector(kinds, docs).ReflectFromType(t)
	s.Version, s.Required = "", nil // a part of the whole; no parameter is required
	return s
}

// only narrows the two fields that every file begins with.
func only(s *jsonschema.Schema, kind string) {
	at(s, "apiVersion").Const = APIVersion
	at(s, "kind").Const = kind
	s.Title = kind
}

// detail is what a field's type does not say.
type detail struct {
	path     string // properties by name; * is the value of any name
	pattern  *regexp.Regexp
	fallback any
	examples []any
	minimum  string
	keys     *regexp.Regexp
	values   []string
}

func serviceDetails() []detail {
	const container = "spec.containers.*."
	return []detail{
		{path: "metadata.name", pattern: namePattern, examples: []any{"order-processing"}},
		{path: "metadata.labels", keys: labelPattern},
		{path: "spec.stack", pattern: stackPattern, examples: []any{"order-processing-dev"}},
		{path: "spec.containers", keys: containerPattern},
		{path: container + "image.tag", pattern: tagPattern, examples: []any{"1a2b3c4"}},
		{path: container + "image.digest", pattern: digestPattern},
		{path: container + "env", keys: envPattern},
		{path: container + "secrets", keys: envPattern},
		{path: container + "secrets.*", pattern: secretPattern, examples: []any{"secretsmanager:order-processing-dev/db:password", "ssm:/order-processing/dev/db-host"}},
		{path: "spec.migration.timeout", fallback: DefaultMigrationTimeout},
		{path: "spec.migration.lock", pattern: lockPattern, examples: []any{"order-db"}},
		{path: "spec.migration.compatibility", fallback: DefaultCompatibility},
		{path: "spec.onFailure", fallback: DefaultOnFailure},
		{path: "spec.retry", fallback: 0, minimum: "0"},
	}
}

func environmentDetails() []detail {
	return []detail{
		{path: "metadata.name", pattern: namePattern, examples: []any{"production"}},
		{path: "metadata.labels", keys: labelPattern},
		{path: "spec.account", pattern: accountPattern, examples: []any{"123456789012"}},
		{path: "spec.region", pattern: regionPattern, examples: []any{"eu-central-1"}},
		{path: "spec.windows[].days[]", values: weekdays},
		{path: "spec.windows[].from", pattern: clockPattern},
		{path: "spec.windows[].to", pattern: clockPattern},
		{path: "spec.windows[].timezone", fallback: DefaultTimezone, examples: []any{"Europe/Berlin"}},
		{path: "spec.maxConcurrentRollouts", fallback: 0, minimum: "0"},
		{path: "spec.massChange.share", fallback: DefaultMassShare},
		{path: "spec.massChange.atLeast", fallback: DefaultMassAtLeast, minimum: "1"},
		{path: "spec.drift.after", fallback: DefaultDriftAfter},
		{path: "spec.drift.action", fallback: DefaultDriftAction},
		{path: "spec.templateChange", fallback: DefaultTemplateChange},
		{path: "spec.defaults.bake", fallback: DefaultBake},
		{path: "spec.defaults.deadline", fallback: DefaultDeadline},
		{path: "spec.defaults.onFailure", fallback: DefaultOnFailure},
	}
}

func details(s *jsonschema.Schema, all []detail) {
	for _, d := range all {
		f := at(s, d.path)
		if d.pattern != nil {
			f.Pattern = d.pattern.String()
		}
		if d.fallback != nil {
			f.Default = d.fallback
		}
		if d.examples != nil {
			f.Examples = d.examples
		}
		f.Minimum = json.Number(d.minimum)
		if d.keys != nil {
			f.PropertyNames = &jsonschema.Schema{Pattern: d.keys.String()}
		}
		if d.values != nil {
			f.Enum = anys(d.values)
		}
	}
}

// at is the schema of a field: a.b is property b of a, * any property's value, [] a list's items.
func at(s *jsonschema.Schema, path string) *jsonschema.Schema {
	for _, step := range strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".") {
		switch step {
		case "*":
			s = s.AdditionalProperties
		case "[]":
			s = s.Items
		default:
			s, _ = s.Properties.Get(step)
		}
	}
	return s
}

func anys(words []string) []any {
	all := make([]any, len(words))
	for i, w := range words {
		all[i] = w
	}
	return all
}

// comments are the doc comments of a Go file's types and fields, by Type and Type.Field.
func comments(source string) (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("comments of the types: %w", err)
	}
	docs := map[string]string{}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		spec := group.Specs[0].(*ast.TypeSpec)
		docs[spec.Name.Name] = oneLine(group.Doc.Text())
		if fields, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					docs[spec.Name.Name+"."+name.Name] = oneLine(f.Doc.Text())
				}
			}
		}
	}
	return docs, nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
