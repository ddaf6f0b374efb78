package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// jsonPattern is a filter pattern for events in JSON, such as { $.level = "error" && $.latency >= 500 }:
// selectors $.a.b[0], the comparisons = != < <= > >=, IS NULL, IS TRUE, IS FALSE, NOT EXISTS, &&, || and
// parentheses. * in text stands for anything.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html#matching-terms-events-json
type jsonPattern func(event any) bool

var jsonToken = regexp.MustCompile(`^\s*(&&|\|\||\(|\)|!=|<=|>=|=|<|>|"(?:[^"\\]|\\.)*"|[^\s()=<>!&|"]+)`)

type jsonParser struct{ tokens []string }

// parseJSONPattern reads what stands between the braces.
func parseJSONPattern(text string) (jsonPattern, error) {
	p := &jsonParser{}
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := jsonToken.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("cannot read %q in the JSON pattern", rest)
		}
		p.tokens = append(p.tokens, m[1])
		rest = rest[len(m[0]):]
	}
	out, err := p.either()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is too much in the JSON pattern", p.tokens[0])
	}
	return out, err
}

func (p *jsonParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *jsonParser) accept(words ...string) bool {
	if len(p.tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if !strings.EqualFold(p.tokens[i], w) {
			return false
		}
	}
	p.tokens = p.tokens[len(words):]
	return true
}

func (p *jsonParser) either() (jsonPattern, error) {
	left, err := p.both()
	for err == nil && p.accept("||") {
		one := left
		other, otherErr := p.both()
		left, err = func(v any) bool { return one(v) || other(v) }, otherErr
	}
	return left, err
}

func (p *jsonParser) both() (jsonPattern, error) {
	left, err := p.one()
	for err == nil && p.accept("&&") {
		one := left
		other, otherErr := p.one()
		left, err = func(v any) bool { return one(v) && other(v) }, otherErr
	}
	return left, err
}

func (p *jsonParser) one() (jsonPattern, error) {
	if p.accept("(") {
		inner, err := p.either()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("a parenthesis of the JSON pattern is not closed")
		}
		return inner, err
	}
	selector := p.next()
	find, err := parseSelector(selector)
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		words []string
		holds func(v any, there bool) bool
	}{
		{[]string{"NOT", "EXISTS"}, func(_ any, there bool) bool { return !there }},
		{[]string{"IS", "NULL"}, func(v any, there bool) bool { return there && v == nil }},
		{[]string{"IS", "TRUE"}, func(v any, _ bool) bool { return v == true }},
		{[]string{"IS", "FALSE"}, func(v any, _ bool) bool { return v == false }},
	} {
		if p.accept(c.words...) {
			return func(v any) bool { return c.holds(find(v)) }, nil
		}
	}
	return p.comparison(selector, find)
}

func (p *jsonParser) comparison(selector string, find func(any) (any, bool)) (jsonPattern, error) {
	operator, operand := p.next(), p.next()
	if operand == "" {
		return nil, fmt.Errorf("%s in the JSON pattern needs a comparison and a value", selector)
	}
	text := operand
	if strings.HasPrefix(operand, `"`) {
		if err := json.Unmarshal([]byte(operand), &text); err != nil {
			return nil, fmt.Errorf("%s in the JSON pattern is not a string: %w", operand, err)
		}
	}
	number, numberErr := strconv.ParseFloat(operand, 64)
	same := func(v any) bool {
		switch v := v.(type) {
		case string:
			return wildcard(text, v)
		case json.Number:
			f, err := v.Float64()
			return (err == nil && numberErr == nil && f == number) || (numberErr != nil && wildcard(text, v.String()))
		}
		return false
	}
	switch operator {
	case "=":
		return func(v any) bool { have, there := find(v); return there && same(have) }, nil
	case "!=":
		return func(v any) bool { have, there := find(v); return there && !same(have) }, nil
	case "<", "<=", ">", ">=":
		if numberErr != nil {
			return nil, fmt.Errorf("%s in the JSON pattern needs a number, found %s", operator, operand)
		}
		return func(v any) bool {
			have, _ := find(v)
			n, ok := have.(json.Number)
			f, err := n.Float64()
			return ok && err == nil && ((f < number && operator[0] == '<') || (f > number && operator[0] == '>') || (f == number && len(operator) == 2))
		}, nil
	}
	return nil, fmt.Errorf("%q in the JSON pattern is not a comparison", operator)
}

var step = regexp.MustCompile(`^(?:\.([A-Za-z0-9_-]+)|\[(\d+)\])`)

// parseSelector reads $.a.b[0].
func parseSelector(s string) (func(any) (any, bool), error) {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok || rest == "" {
		return nil, fmt.Errorf("%q in the JSON pattern is not a selector such as $.level", s)
	}
	var steps [][]string
	for rest != "" {
		m := step.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("%q in the JSON pattern is not a selector such as $.level", s)
		}
		steps = append(steps, m)
		rest = rest[len(m[0]):]
	}
	return func(v any) (any, bool) {
		for _, m := range steps {
			if m[1] != "" {
				members, _ := v.(map[string]any)
				inner, there := members[m[1]]
				if !there {
					return nil, false
				}
				v = inner
				continue
			}
			items, _ := v.([]any)
			i, err := strconv.Atoi(m[2])
			if err != nil || i >= len(items) {
				return nil, false
			}
			v = items[i]
		}
		return v, true
	}, nil
}

func wildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// match says whether a message is JSON and is meant.
func (p jsonPattern) match(message string) bool {
	if trimmed := strings.TrimSpace(message); trimmed == "" || trimmed[0] != '{' {
		return false
	}
	d := json.NewDecoder(bytes.NewReader([]byte(message)))
	d.UseNumber()
	var v any
	return d.Decode(&v) == nil && p(v)
}
