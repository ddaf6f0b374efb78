package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// decodeStrict decodes JSON into what v points to. An error names the field that is wrong by its path: unknown
// fields, and values of a wrong kind.
func decodeStrict(data []byte, v any) error {
	var tree any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return err
	}
	if tree == nil {
		return nil // an empty file
	}
	return fill(reflect.ValueOf(v).Elem(), tree, "")
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func fill(dst reflect.Value, src any, path string) error {
	t := dst.Type()
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(unmarshaler) {
		return leaf(dst, src, path)
	}
	switch t.Kind() {
	case reflect.Pointer:
		p := reflect.New(t.Elem())
		dst.Set(p)
		return fill(p.Elem(), src, path)
	case reflect.Struct:
		return fillStruct(dst, src, path)
	case reflect.Slice:
		items, ok := src.([]any)
		if !ok {
			return at(path, "must be a list, found %s", kind(src))
		}
		out := reflect.MakeSlice(t, len(items), len(items))
		for i, item := range items {
			if err := fill(out.Index(i), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		dst.Set(out)
		return nil
	case reflect.Map:
		return fillMap(dst, src, path)
	default:
		return leaf(dst, src, path)
	}
}

func fillStruct(dst reflect.Value, src any, path string) error {
	members, ok := src.(map[string]any)
	if !ok {
		return at(path, "must be a mapping, found %s", kind(src))
	}
	fields := map[string]int{}
	for i := range dst.NumField() {
		name, _, _ := strings.Cut(dst.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = i
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		i, known := fields[name]
		if !known {
			return at(join(path, name), "is not a field here; there are %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if members[name] == nil {
			continue
		}
		if err := fill(dst.Field(i), members[name], join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func fillMap(dst reflect.Value, src any, path string) error {
	members, ok := src.(map[string]any)
	if !ok {
		return at(path, "must be a mapping, found %s", kind(src))
	}
	out := reflect.MakeMap(dst.Type())
	for _, name := range slices.Sorted(maps.Keys(members)) {
		e := reflect.New(dst.Type().Elem()).Elem()
		if err := fill(e, members[name], join(path, name)); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(name), e)
	}
	dst.Set(out)
	return nil
}

// leaf lets encoding/json read one value, with its words made ours.
func leaf(dst reflect.Value, src any, path string) error {
	b, err := json.Marshal(src)
	if err != nil {
		return at(path, "%v", err)
	}
	err = json.Unmarshal(b, dst.Addr().Interface())
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return at(path, "must be a %s, found %s", wrong.Type, wrong.Value)
	}
	if err != nil {
		return at(path, "%v", err)
	}
	return nil
}

func at(path, format string, args ...any) error {
	if path == "" {
		path = "the file"
	}
	return fmt.Errorf("%s %s", path, fmt.Sprintf(format, args...))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func kind(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case nil:
		return "nothing"
	default:
		return fmt.Sprintf("%v", v)
	}
}
