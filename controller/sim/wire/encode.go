package wire

import (
	"reflect"
	"slices"
	"strings"
	"time"

	smithydocument "github.com/aws/smithy-go/document"
)

// sink writes one protocol's form of a value. Every begin has its end; member and key are followed by one
// value, item by one value.
type sink interface {
	beginStruct()
	member(name string)
	endMember(name string)
	endStruct()
	beginList()
	item()
	endItem()
	endList()
	beginMap()
	key(k string)
	endKey()
	endMap()

	text(s string)
	boolean(b bool)
	integer(i int64)
	float(f float64)
	timestamp(t time.Time)
	blob(b []byte)
	document(json []byte)
}

// encode writes v. Absent is what Go can tell apart: nil pointers, slices, maps and interfaces, and empty
// enums. Numbers and booleans that are not pointers are always written, as AWS does.
func (c *codec) encode(w sink, v reflect.Value) {
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		c.encode(w, v.Elem())
		return
	case t == timeType:
		if v.CanAddr() { // a copy costs an allocation, and there are a hundred events in a service
			w.timestamp(*v.Addr().Interface().(*time.Time))
			return
		}
		w.timestamp(v.Interface().(time.Time))
		return
	case t == bytesType:
		w.blob(v.Bytes())
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		w.beginStruct()
		c.encodeMembers(w, v)
		w.endStruct()
	case reflect.Slice:
		if j, ok := w.(*jsonSink); ok && slices.Contains(c.kept.types, t) {
			c.kept.list(j, v, func(w *jsonSink, item reflect.Value) { c.encode(w, item) })
			return
		}
		c.encodeList(w, v)
	case reflect.Map:
		c.encodeMap(w, v)
	case reflect.Interface:
		c.encodeInterface(w, v)
	case reflect.String:
		w.text(v.String())
	case reflect.Bool:
		w.boolean(v.Bool())
	case reflect.Int32, reflect.Int64:
		w.integer(v.Int())
	default: // floats: check refused every other kind
		w.float(v.Float())
	}
}

func (c *codec) encodeList(w sink, v reflect.Value) {
	w.beginList()
	for i := range v.Len() {
		w.item()
		c.encode(w, v.Index(i))
		w.endItem()
	}
	w.endList()
}

func (c *codec) encodeMembers(w sink, v reflect.Value) {
	for _, f := range c.plan(v.Type()).fields {
		m := v.Field(f.index)
		if isAbsent(m) {
			continue
		}
		if x, ok := w.(*xmlSink); ok && f.flat != nil {
			c.encodeFlat(x, f.flat, m)
			continue
		}
		w.member(f.name)
		c.encode(w, m)
		w.endMember(f.name)
	}
}

func (c *codec) encodeMap(w sink, v reflect.Value) {
	w.beginMap()
	for _, k := range sortedKeys(v) {
		w.key(k.String())
		c.encode(w, v.MapIndex(k))
		w.endKey()
	}
	w.endMap()
}

func sortedKeys(v reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
}

func (c *codec) encodeInterface(w sink, v reflect.Value) {
	if d, ok := v.Interface().(smithydocument.Marshaler); ok {
		b, err := d.MarshalSmithyDocument()
		if err != nil {
			b = []byte("null")
		}
		w.document(b)
		return
	}
	member := v.Elem().Elem() // the interface holds a pointer to the member's struct
	w.beginStruct()
	if name, ok := c.unionOf(v.Type()).names[member.Type()]; ok {
		w.member(name)
		c.encode(w, member.FieldByName("Value"))
		w.endMember(name)
	}
	w.endStruct()
}

func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String: // plain strings are enums here: the SDK makes every other one a pointer
		return v.Len() == 0
	default:
		return false
	}
}
