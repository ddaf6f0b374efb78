package desired

import (
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// locate is where a path stands in the file: its value where that is a single word or in flow style, else its key, because a
// block has no place of its own. A path that the file does not have is found at the deepest part of it that the file has.
func (s *source) locate(path []string, key bool) (line, col int) {
	if s.root == nil {
		return 1, 1
	}
	n := s.root
	line, col = n.Line, n.Column
	for i, step := range path {
		k, v := s.child(n, step)
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

// membersFew is up to how many members a mapping is searched one by one. Larger ones are looked up, since a file may hold tens of
// thousands of them and a mistake in each.
const membersFew = 32

// child is the key and value of a mapping's member, or a list's item, which has no key. Aliases are followed.
func (s *source) child(n *yaml.Node, step string) (key, value *yaml.Node) {
	n = followed(n)
	if n == nil || n.Kind != yaml.MappingNode || len(n.Content) <= 2*membersFew {
		return child(n, step)
	}
	known, ok := s.members[n]
	if !ok {
		known = make(map[string]int, len(n.Content)/2)
		for i := len(n.Content) - 2; i >= 0; i -= 2 { // of two of one name the first counts
			known[followed(n.Content[i]).Value] = i
		}
		s.members[n] = known
	}
	if i, ok := known[step]; ok {
		return n.Content[i], n.Content[i+1]
	}
	return nil, nil
}

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
