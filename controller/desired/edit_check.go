package desired

import (
	"slices"
	"strconv"

	yaml "go.yaml.in/yaml/v3"
)

// onlyChanged wants these values of the mapping at the path, whether it had such members before or not, and that everything else means
// what it did.
func onlyChanged(before *yaml.Node, edited []byte, mapping []string, values map[string]string) error {
	at, err := descend(before, mapping)
	if err != nil {
		return err
	}
	wrong := editError(at, "%s cannot be edited in place; write it out, each value in quotes and on one line", label(mapping))
	after, err := parseDocument(edited)
	if err != nil {
		return wrong
	}
	for name, value := range values {
		node, err := descend(after, append(slices.Clone(mapping), name))
		if err != nil || node.Kind != yaml.ScalarNode || node.Value != value || node.ShortTag() != "!!str" {
			return wrong
		}
	}
	c := comparison{values: values, same: map[[2]*yaml.Node]bool{}}
	d := c.differs(before.Content[0], after.Content[0], nil, append([]string{}, mapping...))
	switch {
	case d == nil:
		return nil
	case d.alias:
		return editError(d.at, "%s is written through an alias and would change as well; write it out", label(d.path))
	}
	return editError(d.at, "%s would change as well; write %s out, each value in quotes and on one line", label(d.path), label(mapping))
}

// comparison follows two versions of a file side by side.
type comparison struct {
	values map[string]string      // the members that may differ, by name
	same   map[[2]*yaml.Node]bool // looked at already: aliases lead to one node again and again
}

// difference is the first thing that is not as it was: the alias that leads to it, where one does.
type difference struct {
	at    *yaml.Node // in the file before
	path  []string
	alias bool
}

// differs looks for a difference below two nodes. way is what remains of the path to the mapping whose members may differ; it is nil
// where nothing below may.
func (c comparison) differs(a, b *yaml.Node, path, way []string) *difference {
	if a.Kind == yaml.AliasNode && b.Kind == yaml.AliasNode {
		if c.differs(a.Alias, b.Alias, path, nil) != nil {
			return &difference{at: a, path: path, alias: true}
		}
		return nil
	}
	if a.Kind != b.Kind || a.Value != b.Value || a.ShortTag() != b.ShortTag() {
		return &difference{at: a, path: path}
	}
	if way == nil {
		if c.same[[2]*yaml.Node{a, b}] {
			return nil
		}
		c.same[[2]*yaml.Node{a, b}] = true
	}
	if a.Kind == yaml.MappingNode {
		return c.membersDiffer(a, b, path, way)
	}
	if len(a.Content) != len(b.Content) {
		return &difference{at: a, path: path}
	}
	for i, item := range a.Content {
		if d := c.differs(item, b.Content[i], append(slices.Clip(path), strconv.Itoa(i)), nil); d != nil {
			return d
		}
	}
	return nil
}

func (c comparison) membersDiffer(a, b *yaml.Node, path, way []string) *difference {
	before, after := a.Content, b.Content
	if way != nil && len(way) == 0 {
		for name := range c.values {
			before, after = without(before, name), without(after, name)
		}
	}
	if len(before) != len(after) {
		return &difference{at: a, path: path}
	}
	for i := 0; i+1 < len(before); i += 2 {
		name := followed(before[i]).Value
		below := append(slices.Clip(path), name)
		if d := c.differs(before[i], after[i], below, nil); d != nil {
			return d
		}
		var rest []string
		if len(way) > 0 && name == way[0] {
			rest = way[1:]
		}
		if d := c.differs(before[i+1], after[i+1], below, rest); d != nil {
			return d
		}
	}
	return nil
}

// without is the content of a mapping but for one member.
func without(members []*yaml.Node, name string) []*yaml.Node {
	for i := 0; i+1 < len(members); i += 2 {
		if followed(members[i]).Value == name {
			return slices.Concat(members[:i], members[i+2:])
		}
	}
	return members
}
