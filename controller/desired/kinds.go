package desired

import (
	"encoding/json"
	"fmt"
)

// Kind is one health check or one rollout strategy as far as the file format is concerned.
type Kind interface {
	// Check returns what is wrong with the parameters, nothing when they are right. It must accept the empty object. It is handed
	// what fits the type of Params (unknown fields, duplicates and wrong types are reported before and left out), and a spec with
	// every default filled in.
	Check(params json.RawMessage, spec *ServiceSpec) []Problem
	// Params returns a pointer to a zero value of the parameters' type: its fields are the fields that a file may write, and they
	// make the JSON Schema. No field is required; a text type with closed values implements Enum.
	Params() any
}

// Kinds are the known checks and strategies by name.
type Kinds struct {
	Checks     map[string]Kind
	Strategies map[string]Kind
}

// Problem is an error at a path below the parameters: object keys, and numbers for list items. An empty path means all of them;
// a path that the file does not have is told at the nearest part that it has.
type Problem struct {
	Path    []string
	Message string // what is wrong; what would be right
}

// Error is one error of one file. File is empty where only the caller knows what the file is called.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Message string `json:"message"` // what is wrong; what would be right
}

// Error is one line, whatever the file is called: a name may hold anything but a zero byte.
func (e Error) Error() string {
	text := fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Message)
	if e.File == "" {
		return text
	}
	return visible(e.File) + ":" + text
}
