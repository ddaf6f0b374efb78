package desired

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"
)

// source is one file while it is parsed: its nodes for positions, and what was found wrong so far.
type source struct {
	file  string
	data  []byte
	kinds Kinds
	root  *yaml.Node // nil when there is nothing to look at

	errs []Error
	// bad are keys and values that were reported and that nothing further may look at.
	bad map[*yaml.Node]bool
	// tainted are the paths of what was reported or is missing, so that one mistake is told once.
	tainted map[string]bool
	members map[*yaml.Node]map[string]int // where the members of large mappings are
}

func open(file string, data []byte, kinds Kinds) *source {
	s := &source{file: file, data: data, kinds: kinds, bad: map[*yaml.Node]bool{}, tainted: map[string]bool{}, members: map[*yaml.Node]map[string]int{}}
	if len(data) > FileSizeMax {
		s.fail(1, 1, tooLarge(int64(len(data))))
		return s
	}
	if line, col, message := unreadable(data); message != "" {
		s.fail(line, col, message)
		return s
	}
	doc, err := s.firstDocument()
	switch {
	case err != nil:
		s.syntax(err)
	case doc == nil || len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null":
		s.fail(1, 1, fmt.Sprintf("the file is empty; it begins with apiVersion: %s", APIVersion))
	case doc.Content[0].Kind != yaml.MappingNode:
		s.fail(doc.Content[0].Line, doc.Content[0].Column, "the file is not a mapping; it begins with apiVersion: "+APIVersion)
	default:
		s.root = doc.Content[0]
		if !s.sane() {
			s.root = nil
		}
	}
	return s
}

// firstDocument is the only document of the file. The YAML library panics on some broken input; one broken file must not take
// the other services down with it.
func (s *source) firstDocument() (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, errors.New("yaml: unreadable")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(s.data))
	var first, second yaml.Node
	if err := dec.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := dec.Decode(&second); err == nil {
		s.fail(second.Line, second.Column, "a second document begins here; one file holds one object")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &first, nil
}

func (s *source) fail(line, col int, message string) {
	s.errs = append(s.errs, Error{File: s.file, Line: max(line, 1), Col: max(col, 1), Message: message})
}

// report adds an error at a path, unless something at or above the path was already reported.
func (s *source) report(message string, path ...string) {
	s.reportAt(false, message, path)
}

// reportKey is report at the key of the path's last element.
func (s *source) reportKey(message string, path ...string) {
	s.reportAt(true, message, path)
}

func (s *source) reportAt(key bool, message string, path []string) {
	if s.isTainted(path) {
		return
	}
	line, col := s.locate(path, key)
	s.fail(line, col, message)
}

func (s *source) taint(path []string) { s.tainted[strings.Join(path, "\x00")] = true }

func (s *source) isTainted(path []string) bool {
	for i := range len(path) + 1 {
		if s.tainted[strings.Join(path[:i], "\x00")] {
			return true
		}
	}
	return false
}

// has reports whether the file itself says something at the path, however wrong.
func (s *source) has(path ...string) bool {
	n := s.root
	for _, step := range path {
		_, n = s.child(n, step)
		if n == nil {
			return false
		}
	}
	return true
}

// sorted are the errors in order of position, each once: a value that is used through an alias is looked at at every use. Of more
// than errorsMax the last one says how many are left out.
func (s *source) sorted() []Error {
	slices.SortFunc(s.errs, compareErrors)
	errs := slices.Compact(s.errs)
	if more := len(errs) - errorsMax; more > 0 {
		errs = errs[:errorsMax:errorsMax]
		errs[errorsMax-1].Message = fmt.Sprintf("%d more errors from here on; mend those before", more+1)
	}
	return errs
}

func compareErrors(a, b Error) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Message, b.Message))
}

// unreadable finds the first character that no YAML text may hold, or that the library takes for the end of a line, as YAML 1.1 did and
// YAML 1.2 does not: behind it a comment would go on as what counts, seen by nobody. The library finds most of the others too, but
// tells no place.
func unreadable(data []byte) (line, col int, message string) {
	line, col = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, col, "this byte is not UTF-8; save the file as UTF-8 text"
		case r == '\n':
			line, col = line+1, 0
		case r < ' ' && r != '\t' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff:
			return line, col, fmt.Sprintf("the control character %U is not allowed here; remove it, or write it as an escape in double quotes", r)
		case r == 0x85 || r == 0x2028 || r == 0x2029:
			return line, col, fmt.Sprintf("the character %U ends a line of YAML, and in an editor it does not; remove it, or write it as an escape in double quotes", r)
		}
		col++
		data = data[size:]
	}
	return 0, 0, ""
}

var (
	syntaxLine    = regexp.MustCompile(`^yaml: (line (\d+): )?`)
	unknownAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
	// grammarError are the messages of the library's parser, which counts lines from 0 and tells where the block began that it
	// could not end; its scanner counts from 1 and tells where it stopped.
	grammarError = regexp.MustCompile(`^did not find expected (<document start>|node content|'-' indicator|key|',' or '.')$`)
	// quoting are messages that repeat what the file says, which may be a secret.
	quoting = regexp.MustCompile("`|^cannot decode|^unreadable")
)

// syntax reports the YAML library's error. The library tells the line only, so the column is that of the line's first character.
func (s *source) syntax(err error) {
	if m := unknownAnchor.FindStringSubmatch(err.Error()); m != nil {
		line, col := s.offset(bytes.Index(s.data, []byte("*"+m[1])))
		s.fail(line, col, "this refers to an anchor that does not exist; put text that begins with * in quotes")
		return
	}
	line, where := 1, "on this line and the one before"
	message := syntaxLine.ReplaceAllString(err.Error(), "")
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil && m[2] != "" {
		line, _ = strconv.Atoi(m[2])
		if grammarError.MatchString(message) {
			line, where = line+1, "in the block that begins here"
		}
	}
	lines := bytes.Split(s.data, []byte("\n"))
	line = min(line, len(lines))
	indent := lines[line-1][:len(lines[line-1])-len(bytes.TrimLeft(lines[line-1], " \t"))]
	if tab := bytes.IndexByte(indent, '\t'); tab >= 0 {
		s.fail(line, tab+1, "the line is indented with a tab; YAML is indented with spaces")
		return
	}
	if quoting.MatchString(message) {
		message = "a value does not fit its place"
	}
	s.fail(line, len(indent)+1, "not valid YAML: "+message+"; look at quotes, colons and indentation "+where)
}

// offset is the line and column of a byte offset; a negative one is the beginning.
func (s *source) offset(at int) (line, col int) {
	before := s.data[:max(at, 0)]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}
