package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
)

// decode fills the value that dst points to from a tree: nil, string, bool, json.Number, int64, float64,
// []byte, time.Time, []any, map[string]any, as a protocol's parser made it, or *form from the query
// protocol. An error names the member by its path.
func (c *codec) decode(dst reflect.Value, src any, path string) error {
	if src == nil {
		return nil
	}
	t := dst.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		v := reflect.New(t.Elem())
		if err := c.decode(v.Elem(), src, path); err != nil {
			return err
		}
		dst.Set(v)
		return nil
	case t == timeType:
		return decodeTime(dst, src, path)
	case t == bytesType:
		return decodeBytes(dst, src, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		return c.decodeStruct(dst, src, path)
	case reflect.Slice:
		return c.decodeList(dst, src, path)
	case reflect.Map:
		return c.decodeMap(dst, src, path)
	case reflect.Interface:
		return c.decodeInterface(dst, src, path)
	default:
		return decodeScalar(dst, src, path)
	}
}

func (c *codec) decodeStruct(dst reflect.Value, src any, path string) error {
	members, ok := asMembers(src)
	if !ok {
		return mismatch(path, "a structure", src)
	}
	plan := c.plan(dst.Type())
	names := plan.byName
	if _, ok := src.(*form); ok {
		names = plan.byFlat
	}
	for name, v := range members {
		i, known := names[name]
		if !known {
			return serialization("unknown member %s", join(path, name))
		}
		if err := c.decodeMember(dst.Field(plan.fields[i].index), plan.fields[i].flat, v, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *codec) decodeMember(dst reflect.Value, flat *Flat, src any, path string) error {
	if f, ok := src.(*form); ok && flat != nil {
		return c.decodeFlat(dst, flat, f, path)
	}
	return c.decode(dst, src, path)
}

func (c *codec) decodeList(dst reflect.Value, src any, path string) error {
	if f, ok := src.(*form); ok {
		items, err := f.list(path)
		if err != nil {
			return err
		}
		src = items
	}
	items, ok := src.([]any)
	if !ok {
		return mismatch(path, "a list", src)
	}
	out := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, v := range items {
		if err := c.decode(out.Index(i), v, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	dst.Set(out)
	return nil
}

func (c *codec) decodeMap(dst reflect.Value, src any, path string) error {
	if f, ok := src.(*form); ok {
		entries, err := f.entries(path)
		if err != nil {
			return err
		}
		src = entries
	}
	entries, ok := src.(map[string]any)
	if !ok {
		return mismatch(path, "a map", src)
	}
	t := dst.Type()
	out := reflect.MakeMapWithSize(t, len(entries))
	for k, v := range entries {
		e := reflect.New(t.Elem()).Elem()
		if err := c.decode(e, v, join(path, k)); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(k).Convert(t.Key()), e)
	}
	dst.Set(out)
	return nil
}

func (c *codec) decodeInterface(dst reflect.Value, src any, path string) error {
	if dst.Type().Implements(documentType) {
		dst.Set(reflect.ValueOf(c.document(src)))
		return nil
	}
	members, ok := asMembers(src)
	if !ok || len(members) != 1 {
		return mismatch(path, "a union with exactly one member", src)
	}
	union := c.unionOf(dst.Type())
	for name, v := range members {
		t, known := union.byName[name]
		if !known {
			return serialization("unknown member %s", join(path, name))
		}
		m := reflect.New(t)
		if err := c.decode(m.Elem().FieldByName("Value"), v, join(path, name)); err != nil {
			return err
		}
		dst.Set(m)
	}
	return nil
}

func decodeScalar(dst reflect.Value, src any, path string) error {
	if f, ok := src.(*form); ok {
		return decodeText(dst, f, path)
	}
	switch dst.Kind() {
	case reflect.String:
		if s, ok := src.(string); ok {
			dst.SetString(s)
			return nil
		}
		return mismatch(path, "a string", src)
	case reflect.Bool:
		if b, ok := src.(bool); ok {
			dst.SetBool(b)
			return nil
		}
		return mismatch(path, "a boolean", src)
	case reflect.Int32, reflect.Int64:
		n, ok := asInt(src)
		if !ok || dst.OverflowInt(n) {
			return mismatch(path, "an integer of "+strconv.Itoa(dst.Type().Bits())+" bits", src)
		}
		dst.SetInt(n)
		return nil
	default: // floats: check refused every other kind
		n, ok := asFloat(src)
		if !ok {
			return mismatch(path, "a number", src)
		}
		dst.SetFloat(n)
		return nil
	}
}

// decodeText reads a scalar out of the query protocol, where everything is text.
func decodeText(dst reflect.Value, f *form, path string) error {
	s, ok := f.text()
	if !ok {
		return serialization("%s: want one value, found members %v", path, f.names())
	}
	switch dst.Kind() {
	case reflect.String:
		dst.SetString(s)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return mismatch(path, "true or false", s)
		}
		dst.SetBool(b)
		return nil
	default:
		return decodeScalar(dst, json.Number(s), path)
	}
}

func asMembers(src any) (map[string]any, bool) {
	if f, ok := src.(*form); ok {
		return f.members(), true
	}
	m, ok := src.(map[string]any)
	return m, ok
}

func asInt(src any) (int64, bool) {
	switch n := src.(type) {
	case int64:
		return n, true
	case json.Number:
		if i, err := n.Int64(); err == nil {
			return i, true
		}
		f, err := n.Float64() // clients in some languages write 5 as 5.0
		return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
	}
	return 0, false
}

func asFloat(src any) (float64, bool) {
	switch n := src.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

// decodeTime takes epoch seconds (JSON), a tagged time (CBOR) and ISO 8601 (query).
func decodeTime(dst reflect.Value, src any, path string) error {
	if at, ok := src.(time.Time); ok {
		dst.Set(reflect.ValueOf(at))
		return nil
	}
	if f, ok := src.(*form); ok {
		s, _ := f.text()
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return mismatch(path, "a timestamp such as 2006-01-02T15:04:05Z", s)
		}
		dst.Set(reflect.ValueOf(at))
		return nil
	}
	seconds, ok := asFloat(src)
	if !ok {
		return mismatch(path, "a timestamp in epoch seconds", src)
	}
	dst.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()))
	return nil
}

func decodeBytes(dst reflect.Value, src any, path string) error {
	if b, ok := src.([]byte); ok {
		dst.SetBytes(b)
		return nil
	}
	s, ok := src.(string)
	if f, isForm := src.(*form); isForm {
		s, ok = f.text()
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if !ok || err != nil {
		return mismatch(path, "base64 text", src)
	}
	dst.SetBytes(b)
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
