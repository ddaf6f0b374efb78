package desired

import (
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// yaml11Booleans are true or false to a reader of YAML 1.1, which reads the values, and text to one of YAML 1.2, which gives the
// positions.
const yaml11Booleans = " y Y yes Yes YES on On ON n N no No NO off Off OFF "

// sane looks at the form of the file alone: what any reader of YAML must understand in the same way. False means that the file
// is not worth a further look.
func (s *source) sane() bool {
	budget := nodesMax
	return s.bounded(s.root, 1, &budget) && s.form(s.root, nil)
}

// bounded reports whether following every alias ends, soon. It comes first because everything after it follows aliases.
func (s *source) bounded(n *yaml.Node, depth int, budget *int) bool {
	if depth > depthMax {
		s.fail(n.Line, n.Column, fmt.Sprintf("values nest deeper than %d here, or an alias contains itself; write it flatter", depthMax))
		return false
	}
	if *budget--; *budget < 0 {
		s.fail(n.Line, n.Column, fmt.Sprintf("the file stands for more than %d values once its aliases are followed; write the values out", nodesMax))
		return false
	}
	if n.Kind == yaml.AliasNode {
		return s.bounded(n.Alias, depth+1, budget)
	}
	for _, c := range n.Content {
		if !s.bounded(c, depth+1, budget) {
			return false
		}
	}
	return true
}

// form reports duplicate keys, merge keys, keys that are not text, tags, words that YAML readers disagree about, and keys
// without a value. It always returns true, so that it can stand beside bounded.
func (s *source) form(n *yaml.Node, path []string) bool {
	n = followed(n)
	if n.Style&yaml.TaggedStyle != 0 {
		s.reject(n, path, label(path)+" has a YAML tag; remove the word that begins with !")
		return true
	}
	switch n.Kind {
	case yaml.ScalarNode:
		s.scalarForm(n, path)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			s.form(c, append(slices.Clip(path), fmt.Sprint(i)))
		}
	case yaml.MappingNode:
		s.mappingForm(n, path)
	}
	return true
}

func (s *source) scalarForm(n *yaml.Node, path []string) {
	switch {
	case n.ShortTag() == "!!null":
		s.reject(n, path, label(path)+" has no value; write one ({} for an empty mapping), or remove the line")
	case ambiguous(n):
		s.reject(n, path, label(path)+" is true or false to some YAML readers and text to others; write true, false, or put it in quotes")
	}
}

func (s *source) mappingForm(n *yaml.Node, path []string) {
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, key, value := n.Content[i], followed(n.Content[i]), n.Content[i+1]
		below := append(slices.Clip(path), key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
			s.rejectKey(at, "this key is not text; write a single word")
		case key.ShortTag() == "!!merge":
			s.rejectKey(at, "merge keys are not followed; write the fields out, or use an alias for a whole value")
			s.taint(path) // what it would have brought in is not missing
		case !isText(key) || ambiguous(key):
			s.rejectKey(at, fmt.Sprintf("the key %q is not text to every YAML reader; put it in quotes", printable(key.Value)))
		case first[key.Value] != nil:
			s.rejectKey(at, fmt.Sprintf("%s is written twice, first on line %d; keep one", label(below), first[key.Value].Line))
		default:
			first[key.Value] = at
			// What is not written has the place where the reader gave up waiting for it, which may be behind the file's end.
			if value.Kind == yaml.ScalarNode && value.Value == "" && value.Style == 0 && value.Line > at.Line {
				value.Line, value.Column = at.Line, at.Column
			}
			s.form(value, below)
		}
	}
}

func (s *source) rejectKey(at *yaml.Node, message string) {
	s.fail(at.Line, at.Column, message)
	s.bad[at] = true
}

// reject reports a node and keeps everything further from looking at it.
func (s *source) reject(n *yaml.Node, path []string, message string) {
	s.fail(n.Line, n.Column, message)
	s.bad[n] = true
	s.taint(path)
}

// isText includes what only an explicit target would make more than text: dates, and << as a value.
func isText(n *yaml.Node) bool {
	tag := n.ShortTag()
	return n.Kind == yaml.ScalarNode && (tag == "!!str" || tag == "!!timestamp" || tag == "!!merge")
}

func ambiguous(n *yaml.Node) bool {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	return !quoted && n.Value != "" && strings.Contains(yaml11Booleans, " "+n.Value+" ")
}
