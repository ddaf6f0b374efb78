package dynamodb

import (
	"maps"
	"math/big"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update answers the item after a SET, of which each value is computed from the item before.
func (x *expressions) update(text *string, before item) (item, error) {
	after := maps.Clone(before)
	if text == nil {
		return after, nil
	}
	err := x.begin(*text)
	if err == nil {
		err = x.want("SET")
	}
	for err == nil {
		var name string
		if name, err = x.name(); err != nil {
			break
		}
		if err = x.want("="); err != nil {
			break
		}
		if after[name], err = x.sum(before); err != nil {
			break
		}
		if x.peek() == "" {
			return after, nil
		}
		err = x.want(",")
	}
	return nil, err
}

func (x *expressions) sum(of item) (types.AttributeValue, error) {
	left, err := x.operand(of)
	if err != nil {
		return nil, err
	}
	if left == nil {
		return nil, validation("The provided expression refers to an attribute that does not exist in the item")
	}
	if x.peek() != "+" {
		return left, nil
	}
	x.next()
	right, err := x.operand(of)
	if err != nil {
		return nil, err
	}
	a, isNumber := left.(*types.AttributeValueMemberN)
	b, too := right.(*types.AttributeValueMemberN)
	if !isNumber || !too {
		return nil, validation("An operand in the update expression has an incorrect data type")
	}
	m, okM := new(big.Int).SetString(a.Value, 10)
	n, okN := new(big.Int).SetString(b.Value, 10)
	if !okM || !okN {
		return nil, x.refuse("a sum of numbers that are not whole")
	}
	return &types.AttributeValueMemberN{Value: m.Add(m, n).String()}, nil
}

// keyCondition reads `#hash = :value`.
func (x *expressions) keyCondition(text, hashKey string) (string, error) {
	if err := x.begin(text); err != nil {
		return "", err
	}
	name, err := x.name()
	if err != nil {
		return "", err
	}
	if name != hashKey {
		return "", validation("Query condition missed key schema element: %s", hashKey)
	}
	if err := x.want("="); err != nil {
		return "", err
	}
	v, err := x.operand(nil)
	if err == nil && x.peek() != "" {
		err = x.refuse(x.peek())
	}
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value, err
	}
	return "", validation("One or more parameter values were invalid: Condition parameter type does not match schema type")
}

func (x *expressions) projection(text *string) (names []string, err error) {
	if text == nil {
		return nil, nil
	}
	if err := x.begin(*text); err != nil {
		return nil, err
	}
	for {
		name, err := x.name()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if x.peek() == "" {
			return names, nil
		}
		if err := x.want(","); err != nil {
			return nil, err
		}
	}
}

// allUsed refuses placeholders that no expression uses, as AWS does.
func (x *expressions) allUsed() error {
	for _, name := range slices.Sorted(maps.Keys(x.names)) {
		if !x.used[name] {
			return validation("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.values)) {
		if !x.used[name] {
			return validation("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	return nil
}
