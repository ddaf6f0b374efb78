package rollout

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"
)

// Named are a few values by name, in order of name. They are written as a map is, and take a tenth of its memory: a map has room for eight
// from the first one on, and each of ten thousand records has one or two. They are not changed once they are made.
type Named[V any] []Item[V]

// Item is one of them.
type Item[V any] struct {
	Name  string
	Value V
}

// Words are texts by name.
type Words = Named[string]

// Containers are what is rendered onto the containers of a template, by the container's name.
type Containers = Named[Container]

// NamedOf are the values of a map.
func NamedOf[V any](m map[string]V) Named[V] {
	if len(m) == 0 {
		return nil
	}
	n := make(Named[V], 0, len(m))
	for name, value := range m {
		n = append(n, Item[V]{name, value})
	}
	slices.SortFunc(n, func(a, b Item[V]) int { return cmp.Compare(a.Name, b.Name) })
	return n
}

// Get is the value of that name, and whether there is one.
func (n Named[V]) Get(name string) (value V, ok bool) {
	i, ok := slices.BinarySearchFunc(n, name, func(one Item[V], name string) int { return cmp.Compare(one.Name, name) })
	if !ok {
		return value, false
	}
	return n[i].Value, true
}

// Of is the value of that name, the zero one where there is none.
func (n Named[V]) Of(name string) V {
	value, _ := n.Get(name)
	return value
}

// All are the names and values in order of name.
func (n Named[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, one := range n {
			if !yield(one.Name, one.Value) {
				return
			}
		}
	}
}

// Map is all of them.
func (n Named[V]) Map() map[string]V {
	m := make(map[string]V, len(n))
	for _, one := range n {
		m[one.Name] = one.Value
	}
	return m
}

// With are these and one more, or another value under its name.
func (n Named[V]) With(name string, value V) Named[V] {
	m := n.Map()
	m[name] = value
	return NamedOf(m)
}

// MarshalJSON implements json.Marshaler: an object, as of Map.
func (n Named[V]) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, one := range n {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(one.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(one.Value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Named[V]) UnmarshalJSON(data []byte) error {
	var m map[string]V
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	*n = NamedOf(m)
	return nil
}
