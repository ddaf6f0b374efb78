package wire

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// form is one node of a query request: A.member.1.B=x is the path A → member → 1 → B with the value x.
type form struct {
	value    *string
	children map[string]*form
}

// parseForm makes the tree of a request's parameters, without Action and Version.
func parseForm(q url.Values) (*form, error) {
	root := &form{children: map[string]*form{}}
	for key, values := range q {
		if key == "Action" || key == "Version" {
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
	out := map[string]any{}
	for _, n := range items {
		k, v := n.children["key"], n.children["value"]
		if k == nil || k.value == nil || v == nil || len(n.children) != 2 {
			return nil, serialization("%s: a map's entry has key and value, found %v", path, n.names())
		}
		out[*k.value] = v
	}
	return out, nil
}

func (f *form) numbered(path, kind string) ([]*form, error) {
	group := f.children[kind]
	if group == nil || len(f.children) != 1 {
		return nil, serialization("%s: want %s.%s.1, …, found members %v", path, path, kind, f.names())
	}
	out := make([]*form, len(group.children))
	for k, n := range group.children {
		i, err := strconv.Atoi(k)
		if err != nil || i < 1 || i > len(out) {
			return nil, serialization("%s.%s: numbers must run from 1 without a gap, found %v", path, kind, group.names())
		}
		out[i-1] = n
	}
	return out, nil
}
