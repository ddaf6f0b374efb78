package desired

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Set replaces the one scalar at the path, such as spec, containers, app, image, tag, and leaves every other byte of the
// file as it is: comments, order and quoting are people's. The value is written as a quoted string. The path must exist
// and lead to a scalar on one line.
func Set(data []byte, value string, path ...string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("read the file to be edited: %w", err)
	}
	where := strings.Join(path, ".")
	node, ok := descend(&doc, path)
	if !ok {
		return nil, fmt.Errorf("the file has no %s; write it once by hand", where)
	}
	if node.Kind != yaml.ScalarNode || node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return nil, fmt.Errorf("%s is not a single value on one line", where)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	line := lines[node.Line-1]
	start := byteColumn(line, node.Column)
	end := start + scalarLength(line[start:], node)
	if end > len(line) {
		return nil, fmt.Errorf("%s is not a single value on one line", where)
	}
	edited := append(append(append([]byte{}, line[:start]...), strconv.Quote(value)...), line[end:]...)
	lines[node.Line-1] = edited
	return bytes.Join(lines, nil), nil
}

func descend(doc *yaml.Node, path []string) (*yaml.Node, bool) {
	if len(doc.Content) == 0 {
		return nil, false
	}
	node := doc.Content[0]
	for _, key := range path {
		if node.Kind != yaml.MappingNode {
			return nil, false
		}
		found := false
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				node, found = node.Content[i+1], true
				break
			}
		}
		if !found {
			return nil, false
		}
	}
	return node, true
}

// byteColumn turns a column, counted in characters from 1, into an index of bytes.
func byteColumn(line []byte, column int) int {
	i := 0
	for range string(line) {
		if i == column-1 {
			break
		}
		i++
	}
	return len(string([]rune(string(line))[:i]))
}

// scalarLength is how many bytes the scalar takes in its line, quotes included.
func scalarLength(rest []byte, node *yaml.Node) int {
	switch {
	case node.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
	case node.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '\'' {
				i++
				continue
			}
			return i + 1
		}
	case bytes.HasPrefix(rest, []byte(node.Value)):
		return len(node.Value)
	}
	return len(rest) + 1
}
