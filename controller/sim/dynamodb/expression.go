package dynamodb

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/aws/smithy-go"
)

// expressions reads the expressions of one request: conditions of comparisons (= <> < <= > >=), attribute_exists,
// attribute_not_exists, AND, OR, NOT and parentheses; updates of SET with values and sums; key conditions of one hash key;
// projections. Attributes are named by placeholders (#name) only: AWS's list of reserved words is not known here.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
type expressions struct {
	names  map[string]string
	values map[string]types.AttributeValue
	used   map[string]bool

	tokens []string
	text   string
}

func newExpressions(names map[string]string, values map[string]types.AttributeValue) *expressions {
	return &expressions{names: names, values: values, used: map[string]bool{}}
}

var tokenPattern = regexp.MustCompile(`^\s*([#:]?[A-Za-z_][A-Za-z0-9_]*|<>|<=|>=|[=<>(),+-])`)

// begin cuts a text into tokens.
func (x *expressions) begin(text string) error {
	x.tokens, x.text = nil, text
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := tokenPattern.FindStringSubmatch(rest)
		if m == nil {
			return x.refuse(strings.TrimSpace(rest))
		}
		x.tokens = append(x.tokens, m[1])
		rest = rest[len(m[0]):]
	}
	return nil
}

func (x *expressions) refuse(what string) error {
	return &smithy.GenericAPIError{Code: "NotModelledException", Message: fmt.Sprintf("%q in the expression %q is not modelled by this account", what, x.text), Fault: smithy.FaultClient}
}

func (x *expressions) peek() string {
	if len(x.tokens) == 0 {
		return ""
	}
	return x.tokens[0]
}

func (x *expressions) next() string {
	t := x.peek()
	if t != "" {
		x.tokens = x.tokens[1:]
	}
	return t
}

func (x *expressions) want(token string) error {
	if got := x.next(); got != token {
		return x.refuse(got)
	}
	return nil
}

// condition reports whether an item, nil where there is none, meets the text; none is always met.
func (x *expressions) condition(text *string, of item) (bool, error) {
	if text == nil {
		return true, nil
	}
	if err := x.begin(*text); err != nil {
		return false, err
	}
	holds, err := x.or(of)
	if err == nil && x.peek() != "" {
		err = x.refuse(x.peek())
	}
	return holds, err
}

func (x *expressions) or(of item) (bool, error) {
	holds, err := x.and(of)
	for err == nil && x.peek() == "OR" {
		x.next()
		var other bool
		other, err = x.and(of)
		holds = holds || other
	}
	return holds, err
}

func (x *expressions) and(of item) (bool, error) {
	holds, err := x.term(of)
	for err == nil && x.peek() == "AND" {
		x.next()
		var other bool
		other, err = x.term(of)
		holds = holds && other
	}
	return holds, err
}

func (x *expressions) term(of item) (bool, error) {
	switch x.peek() {
	case "NOT":
		x.next()
		holds, err := x.term(of)
		return !holds, err
	case "(":
		x.next()
		holds, err := x.or(of)
		if err == nil {
			err = x.want(")")
		}
		return holds, err
	case "attribute_exists", "attribute_not_exists":
		exists := x.next() == "attribute_exists"
		if err := x.want("("); err != nil {
			return false, err
		}
		name, err := x.name()
		if err != nil {
			return false, err
		}
		_, is := of[name]
		return is == exists, x.want(")")
	}
	left, err := x.operand(of)
	if err != nil {
		return false, err
	}
	operator := x.next()
	right, err := x.operand(of)
	if err != nil {
		return false, err
	}
	return x.compare(left, operator, right)
}

// compare: an attribute that is not there, or of another type, fails every comparison but <>.
func (x *expressions) compare(a types.AttributeValue, operator string, b types.AttributeValue) (bool, error) {
	order, same := compare(a, b)
	switch operator {
	case "=":
		return same && order == 0, nil
	case "<>":
		return !same || order != 0, nil
	case "<":
		return same && order < 0, nil
	case "<=":
		return same && order <= 0, nil
	case ">":
		return same && order > 0, nil
	case ">=":
		return same && order >= 0, nil
	}
	return false, x.refuse(operator)
}

func compare(a, b types.AttributeValue) (order int, same bool) {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		if ok {
			return strings.Compare(a.Value, b.Value), true
		}
	case *types.AttributeValueMemberN:
		if b, ok := b.(*types.AttributeValueMemberN); ok {
			x, okX := new(big.Rat).SetString(a.Value)
			y, okY := new(big.Rat).SetString(b.Value)
			if okX && okY {
				return x.Cmp(y), true
			}
		}
	case *types.AttributeValueMemberBOOL:
		if b, ok := b.(*types.AttributeValueMemberBOOL); ok && a.Value == b.Value {
			return 0, true
		}
	}
	return 0, false
}

// operand is a value or an attribute; nil is one that is not there.
func (x *expressions) operand(of item) (types.AttributeValue, error) {
	if strings.HasPrefix(x.peek(), ":") {
		name := x.next()
		v, ok := x.values[name]
		if !ok {
			return nil, validation("Invalid expression: An expression attribute value used in expression is not defined; attribute value: %s", name)
		}
		x.used[name] = true
		return v, nil
	}
	name, err := x.name()
	return of[name], err
}

func (x *expressions) name() (string, error) {
	t := x.next()
	if !strings.HasPrefix(t, "#") {
		return "", x.refuse(t)
	}
	name, ok := x.names[t]
	if !ok {
		return "", validation("Invalid expression: An expression attribute name used in the document path is not defined; attribute name: %s", t)
	}
	x.used[t] = true
	return name, nil
}
