package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Pattern is an event pattern. Everything it names must hold; of a list of values one must.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
//
// Modelled are exact values, prefix, suffix, equals-ignore-case, anything-but (values, prefix, suffix), exists,
// numeric and $or. Other operators are refused.
type Pattern struct {
	fields map[string]node
	either []Pattern // $or
}

// node is what a pattern says of one field: more fields, or conditions of which one must hold.
type node struct {
	inner *Pattern
	any   []condition
}

// condition holds for a value; present is false where the event has no such field.
type condition func(v any, present bool) bool

// ParsePattern reads a pattern of at most 4096 characters.
func ParsePattern(text string) (Pattern, error) {
	if len(text) > 4096 {
		return Pattern{}, fmt.Errorf("event pattern is longer than 4096 characters")
	}
	tree, err := decode([]byte(text))
	if err != nil {
		return Pattern{}, fmt.Errorf("event pattern is not valid JSON: %w", err)
	}
	members, ok := tree.(map[string]any)
	if !ok || len(members) == 0 {
		return Pattern{}, fmt.Errorf("event pattern must be a JSON object that is not empty")
	}
	return parseFields(members, "")
}

func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func parseFields(members map[string]any, path string) (Pattern, error) {
	p := Pattern{fields: map[string]node{}}
	for k, v := range members {
		at := strings.TrimPrefix(path+"."+k, ".")
		switch v := v.(type) {
		case map[string]any:
			inner, err := parseFields(v, at)
			if err != nil {
				return p, err
			}
			p.fields[k] = node{inner: &inner}
		case []any:
			if k == "$or" {
				for _, e := range v {
					m, ok := e.(map[string]any)
					if !ok {
						return p, fmt.Errorf("%s must be a list of objects", at)
					}
					one, err := parseFields(m, path)
					if err != nil {
						return p, err
					}
					p.either = append(p.either, one)
				}
				continue
			}
			n, err := parseValues(v, at)
			if err != nil {
				return p, err
			}
			p.fields[k] = n
		default:
			return p, fmt.Errorf("%q must be an object or an array", at)
		}
	}
	return p, nil
}

func parseValues(values []any, path string) (node, error) {
	var n node
	if len(values) == 0 {
		return n, fmt.Errorf("empty arrays are not allowed at %q", path)
	}
	for _, v := range values {
		c, err := parseCondition(v)
		if err != nil {
			return n, fmt.Errorf("%s: %w", path, err)
		}
		n.any = append(n.any, c)
	}
	return n, nil
}

func parseCondition(v any) (condition, error) {
	m, ok := v.(map[string]any)
	if !ok {
		if _, list := v.([]any); list {
			return nil, fmt.Errorf("a list inside a list is not allowed")
		}
		return func(have any, present bool) bool { return present && same(v, have) }, nil
	}
	if len(m) != 1 {
		return nil, fmt.Errorf("a filter has exactly one operator, found %d", len(m))
	}
	for operator, arg := range m {
		return parseOperator(operator, arg)
	}
	return nil, nil // not reached: m has one member
}

func parseOperator(operator string, arg any) (condition, error) {
	text, isText := arg.(string)
	switch operator {
	case "prefix", "suffix", "equals-ignore-case":
		if !isText {
			return nil, fmt.Errorf("%s must be a string in this account", operator)
		}
		compare := map[string]func(s string) bool{
			"prefix":             func(s string) bool { return strings.HasPrefix(s, text) },
			"suffix":             func(s string) bool { return strings.HasSuffix(s, text) },
			"equals-ignore-case": func(s string) bool { return strings.EqualFold(s, text) },
		}[operator]
		return func(have any, present bool) bool {
			s, ok := have.(string)
			return present && ok && compare(s)
		}, nil
	case "exists":
		expected, ok := arg.(bool)
		if !ok {
			return nil, fmt.Errorf("exists must be true or false")
		}
		return func(_ any, present bool) bool { return present == expected }, nil
	case "anything-but":
		return parseAnythingBut(arg)
	case "numeric":
		return parseNumeric(arg)
	}
	return nil, fmt.Errorf("operator %q is not modelled by this account", operator)
}

func parseAnythingBut(arg any) (condition, error) {
	values, isList := arg.([]any)
	if !isList {
		values = []any{arg}
	}
	var excluded []condition
	for _, v := range values {
		c, err := parseCondition(v)
		if err != nil {
			return nil, fmt.Errorf("anything-but: %w", err)
		}
		excluded = append(excluded, c)
	}
	return func(have any, present bool) bool {
		return present && !slices.ContainsFunc(excluded, func(c condition) bool { return c(have, true) })
	}, nil
}

func parseNumeric(arg any) (condition, error) {
	list, _ := arg.([]any)
	if len(list) != 2 && len(list) != 4 {
		return nil, fmt.Errorf(`numeric must be such as [">", 0] or [">", 0, "<=", 5]`)
	}
	var all []func(float64) bool
	for i := 0; i < len(list); i += 2 {
		sign, _ := list[i].(string)
		number, ok := list[i+1].(json.Number)
		limit, err := number.Float64()
		compare := map[string]func(float64) bool{
			"=": func(f float64) bool { return f == limit }, ">": func(f float64) bool { return f > limit },
			">=": func(f float64) bool { return f >= limit }, "<": func(f float64) bool { return f < limit },
			"<=": func(f float64) bool { return f <= limit },
		}[sign]
		if !ok || err != nil || compare == nil {
			return nil, fmt.Errorf("numeric must be pairs of =, >, >=, < or <= and a number")
		}
		all = append(all, compare)
	}
	return func(have any, present bool) bool {
		n, ok := have.(json.Number)
		f, err := n.Float64()
		return present && ok && err == nil && !slices.ContainsFunc(all, func(c func(float64) bool) bool { return !c(f) })
	}, nil
}

// same compares scalars; numbers by value.
func same(a, b any) bool {
	x, isNumber := a.(json.Number)
	y, isNumberToo := b.(json.Number)
	if isNumber && isNumberToo {
		f, errF := x.Float64()
		g, errG := y.Float64()
		return errF == nil && errG == nil && f == g
	}
	switch b.(type) {
	case string, bool, nil:
		return a == b
	}
	return false
}

// Match says whether an event, in JSON, is one that the pattern means.
func (p Pattern) Match(event []byte) bool {
	tree, err := decode(event)
	if err != nil {
		return false
	}
	return p.match(tree)
}

func (p Pattern) match(v any) bool {
	members, _ := v.(map[string]any)
	for k, n := range p.fields {
		have, present := members[k]
		if n.inner != nil {
			if !n.inner.matchAny(have) {
				return false
			}
		} else if !n.matches(have, present) {
			return false
		}
	}
	return len(p.either) == 0 || slices.ContainsFunc(p.either, func(one Pattern) bool { return one.match(v) })
}

// matchAny looks into every object of a list.
func (p Pattern) matchAny(v any) bool {
	if list, ok := v.([]any); ok && len(list) > 0 {
		return slices.ContainsFunc(list, p.matchAny)
	}
	return p.match(v)
}

// matches: of an event's list one value must be meant. A list that is empty is as if it were not there.
func (n node) matches(have any, present bool) bool {
	values := []any{have}
	if list, ok := have.([]any); ok {
		values, present = list, len(list) > 0
		if !present {
			values = []any{nil}
		}
	}
	return slices.ContainsFunc(values, func(v any) bool {
		return slices.ContainsFunc(n.any, func(c condition) bool { return c(v, present) })
	})
}
