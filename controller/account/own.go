package account

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unique"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// What is kept for long must not hold the memory of a whole answer: the SDK reads the texts of one answer into one piece of memory, which
// stays as long as any of them does.

// own is a copy of a text of the SDK's.
func own(s *string) string { return strings.Clone(aws.ToString(s)) }

// word is a text that many services have in common, kept once for all of them.
func word(s string) string { return unique.Make(s).Value() }

// detached is a deep copy of a value of the SDK's. The SDK's types of ECS come through JSON as they were.
func detached[T any](v T) T {
	var out T
	if data, err := json.Marshal(v); err != nil || json.Unmarshal(data, &out) != nil {
		return v
	}
	return out
}

// packed is a task definition as it is kept: a fifth of the size that the SDK's value has, since that has a pointer for each member,
// set or not.
type packed []byte

func pack(td *types.TaskDefinition) (packed, error) {
	raw, err := json.Marshal(td)
	if err != nil {
		return nil, fmt.Errorf("write task definition as JSON: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read task definition's JSON: %w", err)
	}
	withoutNulls(tree)
	return json.Marshal(tree)
}

func (p packed) definition() (*types.TaskDefinition, error) {
	td := new(types.TaskDefinition)
	if err := json.Unmarshal(p, td); err != nil {
		return nil, fmt.Errorf("read task definition's JSON: %w", err)
	}
	return td, nil
}

func withoutNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if member == nil {
				delete(v, key)
			}
			withoutNulls(member)
		}
	case []any:
		for _, item := range v {
			withoutNulls(item)
		}
	}
}
