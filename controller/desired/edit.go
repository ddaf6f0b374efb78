package desired

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"
)

// Set replaces the one scalar at the path, such as spec, containers, app, image, tag, and leaves every other byte of the
// file as it is: comments, order and quoting are people's. The value is written as a quoted string. The path must exist
// and lead to a scalar on one line. Where anything else of the file would mean something new, as what an alias repeats
// does, it is an error. Errors are of type Error, whose File is left to the caller.
func Set(data []byte, value string, path ...string) ([]byte, error) {
	if len(path) == 0 {
		return nil, Error{Line: 1, Col: 1, Message: "the file is not a single value on one line"}
	}
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	r, err := replaced(data, doc, value, path)
	if err != nil {
		return nil, err
	}
	last := len(path) - 1
	return apply(data, doc, path[:last], map[string]string{path[last]: value}, r)
}

// replacement is a text in place of what stands from start to end.
type replacement struct {
	start, end int
	text       string
}

// replaced is the replacement of the scalar at a path.
func replaced(data []byte, doc *yaml.Node, value string, path []string) (replacement, error) {
	node, err := descend(doc, path)
	if err != nil {
		return replacement{}, err
	}
	start, end, err := scalarSpan(data, node, path)
	return replacement{start, end, strconv.Quote(value)}, err
}

// apply makes the replacements, which do not overlap, and holds them to their word: in the mapping at the path the members have these
// values, and whatever else the file says is what it said before.
func apply(data []byte, before *yaml.Node, mapping []string, values map[string]string, list ...replacement) ([]byte, error) {
	slices.SortFunc(list, func(a, b replacement) int { return b.start - a.start })
	for _, r := range list {
		data = slices.Concat(data[:r.start], []byte(r.text), data[r.end:])
	}
	if err := onlyChanged(before, data, mapping, values); err != nil {
		return nil, err
	}
	return data, nil
}

// parseDocument is the file's only document.
func parseDocument(data []byte) (*yaml.Node, error) {
	s := source{data: data}
	doc, err := s.firstDocument()
	if err != nil {
		s.syntax(err)
	}
	if len(s.errs) > 0 {
		return nil, s.errs[0]
	}
	if doc == nil {
		doc = &yaml.Node{}
	}
	return doc, nil
}

// descend is the node at a path. No alias is followed: what it stands for is written elsewhere, and for others too.
func descend(doc *yaml.Node, path []string) (*yaml.Node, error) {
	at, node := doc, doc
	if len(doc.Content) > 0 {
		at, node = doc.Content[0], doc.Content[0]
	}
	for i, name := range path {
		var key *yaml.Node
		if key, node = directMember(node, name); node == nil {
			return nil, editError(at, "the file has no %s; write it once by hand", label(path))
		}
		if at = key; node.Kind == yaml.AliasNode {
			return nil, editError(node, "%s is written through an alias; write it out", label(path[:i+1]))
		}
	}
	return node, nil
}

func directMember(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		return nil, nil
	}
	return child(node, name)
}

func editError(at *yaml.Node, format string, args ...any) error {
	return Error{Line: max(at.Line, 1), Col: max(at.Column, 1), Message: fmt.Sprintf(format, args...)}
}

// scalarSpan is where a scalar's text begins and ends, quotes included. An anchor before it is not part of it.
func scalarSpan(data []byte, node *yaml.Node, path []string) (start, end int, err error) {
	wrong := editError(node, "%s is not a single value on one line", label(path))
	if node.Kind != yaml.ScalarNode || node.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 {
		return 0, 0, wrong
	}
	start = offsetOf(data, node.Line, node.Column)
	line := data[start:lineEnd(data, start)]
	text := line
	if node.Anchor != "" {
		text = bytes.TrimLeft(bytes.TrimPrefix(line, []byte("&"+node.Anchor)), " \t")
	}
	length := scalarLength(text, node)
	if length == 0 {
		return 0, 0, wrong
	}
	start += len(line) - len(text)
	return start, start + length, nil
}

// scalarLength is how many bytes the scalar takes in its line, quotes included; 0 where it does not end there.
func scalarLength(text []byte, node *yaml.Node) int {
	switch {
	case node.Style&yaml.DoubleQuotedStyle != 0:
		return len(doubleQuoted.Find(text))
	case node.Style&yaml.SingleQuotedStyle != 0:
		return len(singleQuoted.Find(text))
	case bytes.HasPrefix(text, []byte(node.Value)):
		return len(node.Value)
	}
	return 0
}

var (
	doubleQuoted = regexp.MustCompile(`^"(?:[^"\\]|\\.)*"`)
	singleQuoted = regexp.MustCompile(`^'(?:[^']|'')*'`)
	// lineBreak is what the YAML library ends lines at, also within quotes.
	lineBreak = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")
)

// lineEnd is where the line ends that an offset is in, its break not included.
func lineEnd(data []byte, offset int) int {
	if at := lineBreak.FindIndex(data[offset:]); at != nil {
		return offset + at[0]
	}
	return len(data)
}

// offsetOf turns a place into an index of bytes. The YAML library counts characters from 1, and no byte order mark.
func offsetOf(data []byte, line, column int) int {
	offset := 0
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		offset = len("\ufeff")
	}
	for range line - 1 {
		at := lineBreak.FindIndex(data[offset:])
		if at == nil {
			return len(data)
		}
		offset += at[1]
	}
	for range column - 1 {
		_, size := utf8.DecodeRune(data[offset:])
		offset += size
	}
	return offset
}
