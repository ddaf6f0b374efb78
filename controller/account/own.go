package account

import (
	"encoding/json"
	"strings"
	"unique"

	"github.com/aws/aws-sdk-go-v2/aws"
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
