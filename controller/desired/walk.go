package desired

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	yaml "go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// Enum is a text type with a closed set of values.
type Enum interface {
	// Values are the allowed texts.
	Values() []string
}

var (
	durationType = reflect.TypeFor[Duration]()
	percentType  = reflect.TypeFor[Percent]()
	rolloutType  = reflect.TypeFor[Rollout]()
	verifyType   = reflect.TypeFor[Verify]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	timeType     = reflect.TypeFor[time.Time]()
	enumType     = reflect.TypeFor[Enum]()
	fromJSONType = reflect.TypeFor[json.Unmarshaler]()
	fromTextType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// member is a field that a mapping may have.
type member struct {
	typ      reflect.Type // nil accepts anything
	required bool
}

// walk holds a value against the type it will be read into and reports all that does not fit; encoding/json would report the first
// and without a place. False means that the value cannot be read at all.
func (s *source) walk(n *yaml.Node, t reflect.Type, path []string) bool {
	n = followed(n)
	if s.bad[n] {
		return false
	}
	if t == nil || t == rawType || t.Kind() == reflect.Interface {
		return true
	}
	if t.Kind() == reflect.Pointer {
		return s.walk(n, t.Elem(), path)
	}
	switch {
	case t == rolloutType:
		return s.walkMembers(n, s.rolloutMembers(n), path)
	case t == verifyType:
		return s.walkMembers(n, s.verifyMembers(), path)
	case t.Implements(enumType):
		return s.walkEnum(n, reflect.Zero(t).Interface().(Enum).Values(), path)
	case reflect.PointerTo(t).Implements(fromJSONType) || reflect.PointerTo(t).Implements(fromTextType):
		return s.walkOpaque(n, t, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.walkMembers(n, structMembers(t), path)
	case reflect.Map:
		return s.walkMap(n, t.Elem(), path)
	case reflect.Slice, reflect.Array:
		return s.walkList(n, t.Elem(), path)
	default:
		return s.walkScalar(n, t, path)
	}
}

func (s *source) walkMembers(n *yaml.Node, members map[string]member, path []string) bool {
	if n.Kind != yaml.MappingNode {
		return s.wrong(n, path, "must be a mapping with the fields "+strings.Join(slices.Sorted(maps.Keys(members)), ", "))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, name := n.Content[i], followed(n.Content[i]).Value
		if s.bad[at] {
			continue
		}
		m, ok := members[name]
		if !ok {
			where := "at the top of the file"
			if len(path) > 0 {
				where = "in " + label(path)
			}
			s.fail(at.Line, at.Column, fmt.Sprintf("unknown field %q %s; %s", printable(name), where,
				suggest(name, "field", slices.Collect(maps.Keys(members)))))
			s.bad[at] = true
			continue
		}
		seen[name] = true
		s.walk(n.Content[i+1], m.typ, append(slices.Clip(path), name))
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if below := append(slices.Clip(path), name); members[name].required && !seen[name] {
			s.report(label(below)+" is missing; it is required", below...)
			s.taint(below)
		}
	}
	return true
}

// rolloutMembers are strategy, deadline and the parameters of the strategy that the mapping names. The parameters of an unknown
// strategy are not looked at: the strategy's name is the mistake.
func (s *source) rolloutMembers(n *yaml.Node) map[string]member {
	members := map[string]member{"strategy": {typ: reflect.TypeFor[string]()}, "deadline": {typ: durationType}}
	name := DefaultStrategy
	if _, v := child(n, "strategy"); v != nil {
		name = followed(v).Value
	}
	kind, ok := s.kinds.Strategies[name]
	if !ok && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if param := followed(n.Content[i]).Value; members[param].typ == nil {
				members[param] = member{}
			}
		}
		return members
	}
	if ok {
		for param, m := range structMembers(paramsType(kind)) {
			members[param] = member{typ: m.typ}
		}
	}
	return members
}

func (s *source) verifyMembers() map[string]member {
	members := map[string]member{"bake": {typ: durationType}}
	for name, kind := range s.kinds.Checks {
		members[name] = member{typ: paramsType(kind)}
	}
	return members
}

// paramsType is the type of a kind's parameters. Its fields are never required: every kind accepts the empty object.
func paramsType(kind Kind) reflect.Type {
	t := reflect.TypeOf(kind.Params())
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// knownMembers has, by type, what structMembers answers: each file is read into the same few types.
var knownMembers sync.Map

// structMembers are the fields of a struct as encoding/json sees them; a field without omitempty or omitzero is required. They are not
// to be changed.
func structMembers(t reflect.Type) map[string]member {
	if known, ok := knownMembers.Load(t); ok {
		return known.(map[string]member)
	}
	members := map[string]member{}
	if t == nil || t.Kind() != reflect.Struct {
		return members
	}
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || f.Anonymous && !tagged {
			continue
		}
		if name == "" {
			name = f.Name
		}
		members[name] = member{typ: f.Type, required: !strings.Contains(options, "omit")}
	}
	knownMembers.Store(t, members)
	return members
}

func (s *source) walkMap(n *yaml.Node, elem reflect.Type, path []string) bool {
	if n.Kind != yaml.MappingNode {
		return s.wrong(n, path, "must be a mapping of names to values")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !s.bad[n.Content[i]] {
			s.walk(n.Content[i+1], elem, append(slices.Clip(path), followed(n.Content[i]).Value))
		}
	}
	return true
}

// walkList refuses the whole list when an item cannot be read: without the item, the others would be told by the wrong number.
func (s *source) walkList(n *yaml.Node, elem reflect.Type, path []string) bool {
	if n.Kind != yaml.SequenceNode {
		return s.wrong(n, path, "must be a list, such as [a, b]")
	}
	ok := true
	for i, item := range n.Content {
		ok = s.walk(item, elem, append(slices.Clip(path), strconv.Itoa(i))) && ok
	}
	if !ok {
		s.bad[n] = true
		s.taint(path)
	}
	return ok
}

func (s *source) walkEnum(n *yaml.Node, values []string, path []string) bool {
	if n.Kind != yaml.ScalarNode || !slices.Contains(values, n.Value) {
		return s.wrong(n, path, "must be one of "+strings.Join(values, ", "))
	}
	return s.walkScalar(n, reflect.TypeFor[string](), path)
}

// walkOpaque asks the type itself whether it can read the value.
func (s *source) walkOpaque(n *yaml.Node, t reflect.Type, path []string) bool {
	text := []byte(nil)
	if isText(n) {
		text, _ = json.Marshal(n.Value)
	} else if block, err := yaml.Marshal(n); err == nil {
		text, _ = sigsyaml.YAMLToJSON(block)
	}
	err := json.Unmarshal(text, reflect.New(t).Interface())
	switch {
	case err == nil:
		return true
	case t == timeType:
		return s.wrong(n, path, "must be a time with its zone, such as 2027-01-31T00:00:00Z")
	case t == durationType:
		return s.wrong(n, path, "must be a duration: a number with its unit, such as 90s, 10m or 1h30m")
	case t == percentType:
		return s.wrong(n, path, "must be a share: a whole number from 1 to 100 with its sign, such as 50%")
	default:
		return s.wrong(n, path, "cannot be read: "+err.Error())
	}
}

func (s *source) walkScalar(n *yaml.Node, t reflect.Type, path []string) bool {
	var err error
	switch t.Kind() {
	case reflect.String:
		if n.Kind != yaml.ScalarNode {
			return s.wrong(n, path, "must be text")
		}
		if !isText(n) {
			return s.wrong(n, path, "must be text; put it in quotes, because YAML reads it as a number, true or false")
		}
	case reflect.Bool:
		if n.ShortTag() != "!!bool" {
			return s.wrong(n, path, "must be true or false")
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if _, err = strconv.ParseInt(n.Value, 10, t.Bits()); n.ShortTag() != "!!int" || err != nil || octal(n.Value) {
			return s.wrong(n, path, "must be a whole number, such as 2")
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if _, err = strconv.ParseUint(n.Value, 10, t.Bits()); n.ShortTag() != "!!int" || err != nil || octal(n.Value) {
			return s.wrong(n, path, "must be a whole number of at least 0, such as 2")
		}
	case reflect.Float32, reflect.Float64:
		tag := n.ShortTag()
		if !json.Valid([]byte(n.Value)) || tag != "!!int" && tag != "!!float" {
			return s.wrong(n, path, "must be a number, such as 0.5")
		}
	default:
		return s.wrong(n, path, "cannot be written in a file")
	}
	return true
}

// octal are numbers such as 010, which YAML reads as 8 and people as 10.
func octal(number string) bool {
	digits := strings.TrimLeft(number, "+-")
	return len(digits) > 1 && digits[0] == '0'
}

// wrong reports a value that cannot be read. The value itself is never repeated: it may be a secret in the wrong place.
func (s *source) wrong(n *yaml.Node, path []string, what string) bool {
	if s.isTainted(path) {
		return false
	}
	line, col := s.locate(path, false)
	s.fail(line, col, label(path)+" "+what)
	s.bad[n] = true
	s.taint(path)
	return false
}
