package reconcile

import (
	"encoding/json"
	"reflect"
	"sync"
	"time"
)

// same reports whether both would be written alike. Reflection sees what is surely alike, as on most passes, and what surely
// differs, as after each decision, many times faster than JSON; only what JSON may write alike (an empty list, none) is written.
func same[T any](a, b T) bool {
	switch {
	case reflect.DeepEqual(a, b):
		return true
	case differs(reflect.ValueOf(a), reflect.ValueOf(b)):
		return false
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// differs reports a difference that no writing hides: another number, text or instant, something where there is nothing. Both
// are of one type.
func differs(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() != b.IsNil()
		}
		if a.Kind() == reflect.Pointer && a.UnsafePointer() == b.UnsafePointer() {
			return false
		}
		return a.Elem().Type() == b.Elem().Type() && differs(a.Elem(), b.Elem())
	case reflect.Struct:
		return differsIn(a, b)
	case reflect.Slice, reflect.Array:
		return differsAlong(a, b)
	case reflect.Map:
		if a.Len() != b.Len() {
			return true
		}
		for each := a.MapRange(); each.Next(); {
			if other := b.MapIndex(each.Key()); !other.IsValid() || differs(each.Value(), other) {
				return true
			}
		}
		return false
	default:
		return a.Comparable() && !a.Equal(b)
	}
}

func differsIn(a, b reflect.Value) bool {
	if a.Type() == timeType {
		return !a.Interface().(time.Time).Equal(b.Interface().(time.Time))
	}
	for _, i := range written(a.Type()) {
		if differs(a.Field(i), b.Field(i)) {
			return true
		}
	}
	return false
}

// fields has, by type of struct, what written answers.
var fields sync.Map

// written are the fields of a struct that JSON has.
func written(t reflect.Type) []int {
	if known, ok := fields.Load(t); ok {
		return known.([]int)
	}
	var out []int
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
			out = append(out, i)
		}
	}
	fields.Store(t, out)
	return out
}

func differsAlong(a, b reflect.Value) bool {
	if a.Type() == rawType {
		return false // its spaces are not written
	}
	if a.Len() != b.Len() {
		return true
	}
	if a.Kind() == reflect.Slice && a.UnsafePointer() == b.UnsafePointer() {
		return false
	}
	for i := range a.Len() {
		if differs(a.Index(i), b.Index(i)) {
			return true
		}
	}
	return false
}
