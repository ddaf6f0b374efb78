package desired

import (
	"fmt"
	"reflect"
	"strings"

	yaml "go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// read fills the object that into points to from the file, leaving out what was reported as wrong, so that one mistake does not
// hide the others. False means that there is nothing to look at further; the reason has been reported.
func (s *source) read(into any, kind string) bool {
	if s.root == nil || !s.header(kind) {
		return false
	}
	s.walk(s.root, reflect.TypeOf(into), nil)
	data := s.data
	if len(s.bad) > 0 {
		pruned, err := yaml.Marshal(s.pruned(s.root))
		if err != nil {
			return false
		}
		data = pruned
	}
	if err := sigsyaml.UnmarshalStrict(data, into); err != nil {
		if len(s.errs) == 0 {
			// The text is kept out of the message: it may repeat values.
			s.fail(s.root.Line, s.root.Column, fmt.Sprintf("the file cannot be read as a %s; write it in plain YAML, without anchors or unusual escapes", kind))
		}
		return false
	}
	return true
}

// header looks at apiVersion and kind before anything else: in a file of another kind every field would be unknown.
func (s *source) header(kind string) bool {
	ok := true
	for _, h := range []struct{ name, want string }{{"apiVersion", APIVersion}, {"kind", kind}} {
		_, v := child(s.root, h.name)
		if v = followed(v); v == nil || s.bad[v] || !isText(v) || v.Value == h.want {
			continue
		}
		hint := ""
		if h.name == "kind" && v.Value == KindEnvironment {
			hint = ", or name the file " + EnvironmentFile
		} else if h.name == "kind" && kind == KindEnvironment {
			hint = ", or name the file after the service"
		}
		s.report(fmt.Sprintf("%s is %q; write %s%s", h.name, printable(v.Value), h.want, hint), h.name)
		ok = false
	}
	return ok
}

// pruned is a copy without what was reported and without aliases.
func (s *source) pruned(n *yaml.Node) *yaml.Node {
	n = followed(n)
	c := *n
	c.Anchor, c.Content = "", nil
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			c.Content = append(c.Content, s.pruned(item))
		}
		return &c
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !s.bad[key] && !s.bad[followed(value)] {
			c.Content = append(c.Content, s.pruned(key), s.pruned(value))
		}
	}
	return &c
}

// object is a path below the top of the file, from words and, for names that hold dots, single elements.
func object(dotted string, rest ...string) []string {
	return append(strings.Split(dotted, "."), rest...)
}
