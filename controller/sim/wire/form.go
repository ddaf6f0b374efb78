package wire

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// form is one node of a query request: A.member.1.B=x is the path A → member → 1 → B with the value x.
type form struct {
	value    *string
	children map[string]*form
}

// parseForm makes the tree of a request's parameters, without Action and Version, and without a signature in the query.
func parseForm(q url.Values) (*form, error) {
	root := &form{children: map[string]*form{}}
	for key, values := range q {
		if key == "Action" || key == "Version" || strings.HasPrefix(key, "X-Amz-") {
			continue
		}
		if len(values) != 1 {
			return nil, serialization("parameter %s is given %d times", key, len(values))
		}
		n := root
		for part := range strings.SplitSeq(key, ".") {
			if n.children == nil {
				n.children = map[string]*form{}
			}
			if n.children[part] == nil {
				n.children[part] = &form{}
			}
			n = n.children[part]
		}
		n.value = &values[0]
	}
	return root, nil
}

func (f *form) names() []string { return slices.Sorted(maps.Keys(f.children)) }

func (f *form) text() (string, bool) {
	if f.value == nil || len(f.children) > 0 {
		return "", false
	}
	return *f.value, true
}

func (f *form) members() map[string]any {
	out := make(map[string]any, len(f.children))
	for k, v := range f.children {
		out[k] = v
	}
	return out
}

// list reads X.member.1, X.member.2, …; `X=` alone is the empty list.
func (f *form) list(path string) ([]any, error) {
	if s, ok := f.text(); ok && s == "" {
		return []any{}, nil
	}
	items, err := f.numbered(path, "member")
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, n := range items {
		out[i] = n
	}
	return out, nil
}

// entries reads X.entry.1.key and X.entry.1.value.
func (f *form) entries(path string) (map[string]any, error) {
	if s, ok := f.text(); ok && s == "" {
		return map[string]any{}, nil
	}
	items, err := f.numbered(path, "entry")
	if err != nil {
		return nil, err
	}
	return pairs(items, "key", "value", path)
}

func (f *form) numbered(path, kind string) ([]*form, error) {
	group := f.children[kind]
	if group == nil || len(f.children) != 1 {
		return nil, serialization("%s: want %s.%s.1, …, found members %v", path, path, kind, f.names())
	}
	return group.numbers(path + "." + kind)
}
