package desired

import (
	"encoding/json"
	"fmt"
)

// Kind is one health check or one rollout strategy as far as the file format is concerned.
type Kind interface {
	// Check returns what is wrong with the parameters, nothing when they are right. It must accept the empty object.
	Check(params json.RawMessage, spec *ServiceSpec) []Problem
	// Params returns a pointer to a zero value of the parameters' type, for the JSON Schema.
	Params() any
}

// Kinds are the known checks and strategies by name.
type Kinds struct {
	Checks     map[string]Kind
	Strategies map[string]Kind
}

// Problem is an error at a path below the parameters: object keys, and numbers for list items.
type Problem struct {
	Path    []string
	Message string // what is wrong; what would be right
}

// Error is one error of one file.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Message string `json:"message"` // what is wrong; what would be right
}

func (e Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message) }
