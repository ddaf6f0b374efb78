package desired

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// StrictParams reads a check's or strategy's parameters into T and refuses what T does not have.
func StrictParams[T any](raw json.RawMessage) (T, []Problem) {
	var p T
	if len(raw) == 0 {
		return p, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return p, []Problem{{Message: "parameters must be a mapping of names to values"}}
	}
	known := jsonNames(reflect.TypeFor[T]())
	var problems []Problem
	for name := range members {
		if !known[name] {
			problems = append(problems, Problem{Path: []string{name}, Message: fmt.Sprintf("%s is not a parameter here; known are %s", name, strings.Join(sortedKeys(known), ", "))})
		}
	}
	if len(problems) > 0 {
		return p, problems
	}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&p); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return p, []Problem{{Path: strings.Split(wrong.Field, "."), Message: fmt.Sprintf("a %s stands where %s belongs", wrong.Value, plainType(wrong.Type))}}
		}
		return p, []Problem{{Message: err.Error()}}
	}
	return p, nil
}

func jsonNames(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = true
	}
	return out
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

// plainType is the type as people who write YAML call it.
func plainType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	default:
		return "a mapping"
	}
}
