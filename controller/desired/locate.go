package desired

import (
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// locate is where a path stands in the file: its value where that is a single word or in flow style, else its key, because a
// block has no place of its own. A path that the file does not have is found at the deepest part of it that the file has.
func locate(root *yaml.Node, path []string, key bool) (line, col int) {
	if root == nil {
		return 1, 1
	}
	n := root
	line, col = n.Line, n.Column
	for i, step := range path {
		k, v := child(n, step)
		if v == nil {
			return line, col
		}
		last := i == len(path)-1
		switch {
		case k != nil && (last && key || isBlock(v)):
			line, col = k.Line, k.Column
		case k != nil || last || !isBlock(v):
			line, col = v.Line, v.Column
		}
		n = v
	}
	return line, col
}

func isBlock(n *yaml.Node) bool {
	n = followed(n)
	return (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && n.Style&yaml.FlowStyle == 0
}

// child is the key and value of a mapping's member, or a list's item, which has no key. Aliases are followed.
func child(n *yaml.Node, step string) (key, value *yaml.Node) {
	n = followed(n)
	if n == nil {
		return nil, nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if followed(n.Content[i]).Value == step {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return nil, n.Content[i]
		}
	}
	return nil, nil
}

func followed(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// label is a path as people write it: spec.windows[0].days.
func label(path []string) string {
	var b strings.Builder
	for i, step := range path {
		if _, err := strconv.Atoi(step); err == nil && i > 0 {
			b.WriteString("[" + step + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(printable(step))
	}
	return b.String()
}
