package wire

import (
	"fmt"
	"reflect"
	"strconv"
)

// Flat says how the query protocol writes one list or map that it flattens: without an element or a name
// around the entries, so that A.1=x stands for the first entry of a list, A.1.Name=k&A.1.Value=v for that of a map.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#x-www-form-urlencoded-shape-serialization
type Flat struct {
	Name       string // of every entry
	Also       string // another name that clients write; empty: none
	Key, Value string // of a map's entries; empty for lists
}

// flat answers how a member is flattened, nil where it is not.
func (c *codec) flat(structName, goName string) *Flat {
	for _, key := range []string{structName + "." + goName, goName} {
		if f, ok := c.flattened[key]; ok {
			return &f
		}
	}
	return nil
}

// decodeFlat reads the numbered entries of a list or map that a form flattens; `A=` alone is empty.
func (c *codec) decodeFlat(dst reflect.Value, how *Flat, f *form, path string) error {
	if s, ok := f.text(); ok && s == "" {
		f = &form{}
	}
	items, err := f.numbers(path)
	if err != nil {
		return err
	}
	if dst.Kind() == reflect.Slice {
		out := make([]any, len(items))
		for i, n := range items {
			out[i] = n
		}
		return c.decodeList(dst, out, path)
	}
	out, err := pairs(items, how.Key, how.Value, path)
	if err != nil {
		return err
	}
	return c.decodeMap(dst, out, path)
}

// pairs makes a map of entries that each have a key and a value.
func pairs(items []*form, key, value, path string) (map[string]any, error) {
	out := make(map[string]any, len(items))
	for _, n := range items {
		k, v := n.children[key], n.children[value]
		if k == nil || k.value == nil || v == nil || len(n.children) != 2 {
			return nil, serialization("%s: a map's entry has %s and %s, found %v", path, key, value, n.names())
		}
		out[*k.value] = v
	}
	return out, nil
}

// numbers answers the children 1, 2, … in order.
func (f *form) numbers(path string) ([]*form, error) {
	if f.value != nil {
		return nil, serialization("%s: want %s.1, …, found a value", path, path)
	}
	out := make([]*form, len(f.children))
	for k, n := range f.children {
		i, err := strconv.Atoi(k)
		if err != nil || i < 1 || i > len(out) {
			return nil, serialization("%s: numbers must run from 1 without a gap, found %v", path, f.names())
		}
		out[i-1] = n
	}
	return out, nil
}

// encodeFlat writes a list's or map's entries one after the other, each under the name of all.
func (c *codec) encodeFlat(w *xmlSink, how *Flat, v reflect.Value) {
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			w.member(how.Name)
			c.encode(w, v.Index(i))
			w.endMember(how.Name)
		}
		return
	}
	for _, k := range sortedKeys(v) {
		w.member(how.Name)
		w.member(how.Key)
		w.text(k.String())
		w.endMember(how.Key)
		w.member(how.Value)
		c.encode(w, v.MapIndex(k))
		w.endMember(how.Value)
		w.endMember(how.Name)
	}
}

// checkFlattened refuses a table whose entry could not be read or written.
func checkFlattened(table map[string]Flat) error {
	for member, f := range table {
		if f.Name == "" || (f.Key == "") != (f.Value == "") {
			return fmt.Errorf("flattened %s: want Name, and for a map Key and Value", member)
		}
	}
	return nil
}
