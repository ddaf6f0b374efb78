package alarms

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// rule is a composite alarm's rule: ALARM(x), OK(x), INSUFFICIENT_DATA(x), TRUE, FALSE, NOT, AND, OR and
// parentheses; NOT binds closest, OR loosest.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
type rule struct {
	holds func(state func(name string) types.StateValue) bool
	names []string // of alarms, as the rule has them: names or ARNs
}

var token = regexp.MustCompile(`^\s*(\(|\)|"[^"]*"|[^\s()"]+)`)

type ruleParser struct {
	tokens []string
	names  []string
}

func parseRule(text string) (rule, error) {
	p := &ruleParser{}
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := token.FindStringSubmatch(rest)
		if m == nil {
			return rule{}, fmt.Errorf("cannot read %q", rest)
		}
		p.tokens = append(p.tokens, m[1])
		rest = rest[len(m[0]):]
	}
	holds, err := p.either()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is too much", p.tokens[0])
	}
	return rule{holds: holds, names: p.names}, err
}

type predicate = func(func(string) types.StateValue) bool

func (p *ruleParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *ruleParser) accept(word string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == word {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *ruleParser) either() (predicate, error) {
	left, err := p.both()
	for err == nil && p.accept("OR") {
		one := left
		other, otherErr := p.both()
		left, err = func(s func(string) types.StateValue) bool { return one(s) || other(s) }, otherErr
	}
	return left, err
}

func (p *ruleParser) both() (predicate, error) {
	left, err := p.one()
	for err == nil && p.accept("AND") {
		one := left
		other, otherErr := p.one()
		left, err = func(s func(string) types.StateValue) bool { return one(s) && other(s) }, otherErr
	}
	return left, err
}

func (p *ruleParser) one() (predicate, error) {
	switch t := p.next(); t {
	case "NOT":
		inner, err := p.one()
		return func(s func(string) types.StateValue) bool { return !inner(s) }, err
	case "(":
		inner, err := p.either()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return inner, err
	case "TRUE", "FALSE":
		return func(func(string) types.StateValue) bool { return t == "TRUE" }, nil
	case "ALARM", "OK", "INSUFFICIENT_DATA":
		if !p.accept("(") {
			return nil, fmt.Errorf("%s must be followed by an alarm in parentheses", t)
		}
		name := strings.Trim(p.next(), `"`)
		if name == "" || name == ")" || !p.accept(")") {
			return nil, fmt.Errorf("%s must be followed by an alarm in parentheses", t)
		}
		p.names = append(p.names, name)
		return func(s func(string) types.StateValue) bool { return s(name) == types.StateValue(t) }, nil
	case "":
		return nil, fmt.Errorf("the expression ends too early")
	default:
		return nil, fmt.Errorf("%q is not ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE, NOT or a parenthesis", t)
	}
}

// plain is an alarm's name out of its name or ARN.
func plain(nameOrARN string) string {
	if _, name, ok := strings.Cut(nameOrARN, ":alarm:"); ok {
		return name
	}
	return nameOrARN
}

// checkRule refuses a rule that names what is not there, or that leads back to its own alarm.
func (e *Engine) checkRule(owner string, r rule) error {
	seen := map[string]bool{}
	todo := slices.Clone(r.names)
	for len(todo) > 0 {
		name := plain(todo[0])
		todo = todo[1:]
		_, isMetric := e.metric[name]
		_, isComposite := e.composite[name]
		switch {
		case name == owner:
			return validation("AlarmRule of %s leads back to itself", owner)
		case !isMetric && !isComposite:
			return validation("Could not save the composite alarm as alarms [%s] in the alarm rule do not exist", name)
		case !seen[name]:
			seen[name] = true
			todo = append(todo, e.rules[name].names...)
		}
	}
	return nil
}

// compose brings the composite alarms to what their rules say, except those that were just set by hand. As no
// rule leads back to itself, as many rounds as there are alarms are enough. The caller holds the lock.
func (e *Engine) compose(byHand ...string) {
	state := func(name string) types.StateValue {
		if a, ok := e.metric[plain(name)]; ok {
			return a.StateValue
		}
		return e.composite[plain(name)].StateValue
	}
	for range e.composite {
		for _, name := range slices.Sorted(maps.Keys(e.composite)) {
			want, reason := types.StateValueOk, "The rule does not hold: "
			if e.rules[name].holds(state) {
				want, reason = types.StateValueAlarm, "The rule holds: "
			}
			if a := e.composite[name]; a.StateValue != want && !slices.Contains(byHand, name) {
				e.become(name, want, reason+*a.AlarmRule, nil)
			}
		}
	}
}
