package logs

import (
	"fmt"
	"strings"
	"unicode"
)

// pattern is a filter pattern for unstructured events: terms, "quoted phrases", -excluded ones and ?optional
// ones; or one for events in JSON. Optional terms next to others count for nothing.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
type pattern struct {
	all, any, none []string
	json           jsonPattern
}

// parsePattern refuses the space-delimited and regular-expression forms, which are not modelled, and terms with other characters than letters, digits and underscores outside quotes, as AWS does.
func parsePattern(s string) (pattern, error) {
	var p pattern
	rest := strings.TrimSpace(s)
	if rest == "" {
		return p, nil
	}
	if rest[0] == '{' {
		inner, closed := strings.CutSuffix(rest[1:], "}")
		if !closed {
			return p, fmt.Errorf("filter pattern %q has a brace that is not closed", s)
		}
		var err error
		p.json, err = parseJSONPattern(inner)
		return p, err
	}
	if strings.ContainsRune("[%", rune(rest[0])) {
		return p, fmt.Errorf("filter patterns that begin with %q (columns, regular expressions) are not modelled by this account", rest[:1])
	}
	for rest != "" {
		list := &p.all
		switch rest[0] {
		case '-':
			list, rest = &p.none, rest[1:]
		case '?':
			list, rest = &p.any, rest[1:]
		}
		term, after, err := nextTerm(rest)
		if err != nil {
			return p, err
		}
		*list = append(*list, term)
		rest = strings.TrimSpace(after)
	}
	return p, nil
}

func nextTerm(s string) (term, rest string, err error) {
	if body, quoted := strings.CutPrefix(s, `"`); quoted {
		var b strings.Builder
		for i := 0; i < len(body); i++ {
			switch {
			case body[i] == '\\' && i+1 < len(body):
				i++
				b.WriteByte(body[i])
			case body[i] == '"':
				return b.String(), body[i+1:], nil
			default:
				b.WriteByte(body[i])
			}
		}
		return "", "", fmt.Errorf("filter pattern %q has a quote that is not closed", s)
	}
	term, rest, _ = strings.Cut(s, " ")
	for _, r := range term {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' {
			return "", "", fmt.Errorf("term %q of the filter pattern has the character %q: put the term in double quotes", term, r)
		}
	}
	if term == "" {
		return "", "", fmt.Errorf("filter pattern %q has an empty term", s)
	}
	return term, rest, nil
}

func (p pattern) match(message string) bool {
	if p.json != nil {
		return p.json.match(message)
	}
	for _, t := range p.all {
		if !strings.Contains(message, t) {
			return false
		}
	}
	for _, t := range p.none {
		if strings.Contains(message, t) {
			return false
		}
	}
	if len(p.any) == 0 || len(p.all)+len(p.none) > 0 {
		return true
	}
	for _, t := range p.any {
		if strings.Contains(message, t) {
			return true
		}
	}
	return false
}
