package ecs

import (
	"reflect"
	"sync"
	"time"
)

// clone copies a value deeply: what callers hand in or get never shares memory
// with the engine's state. Nil and empty stay apart, as they do on the wire.
func clone[T any](v T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	copyInto(out, reflect.ValueOf(&v).Elem())
	return out.Interface().(T)
}

var timeType = reflect.TypeFor[time.Time]()

// sharing has, by type, what shared answers.
var sharing sync.Map

// shared are the exported fields of a struct whose copy would share memory.
func shared(t reflect.Type) []int {
	if known, ok := sharing.Load(t); ok {
		return known.([]int)
	}
	var fields []int
	for i := range t.NumField() {
		if f := t.Field(i); t != timeType && f.IsExported() && shares(f.Type) {
			fields = append(fields, i)
		}
	}
	sharing.Store(t, fields)
	return fields
}

func shares(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return true
	case reflect.Struct:
		return len(shared(t)) > 0
	default:
		return false
	}
}

func copyInto(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyInto(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			if !shares(src.Type().Elem()) {
				reflect.Copy(dst, src)
				return
			}
			for i := range src.Len() {
				copyInto(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
			for it := src.MapRange(); it.Next(); {
				value := reflect.New(src.Type().Elem()).Elem()
				copyInto(value, it.Value())
				dst.SetMapIndex(it.Key(), value)
			}
		}
	case reflect.Struct:
		dst.Set(src)
		for _, i := range shared(src.Type()) {
			copyInto(dst.Field(i), src.Field(i))
		}
	default:
		dst.Set(src)
	}
}
