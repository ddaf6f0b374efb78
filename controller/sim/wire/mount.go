package wire

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// mounted is a Service with what reflection found out about it.
type mounted struct {
	Service
	operations map[string]*operation
	codec      *codec
}

// codecs has the codec of each shape that a service may have, checked for all its operations. A simulation opens thousands of
// accounts, and walking all types of the SDK anew would cost each of them as much as ten requests.
var codecs sync.Map // shape → *codec

// shape is all that a codec depends on.
type shape struct {
	methods reflect.Type
	words   string
}

func shapeOf(s Service) shape {
	unions := make([]reflect.Type, len(s.Unions))
	for i, u := range s.Unions {
		unions[i] = reflect.TypeOf(u)
	}
	return shape{reflect.TypeOf(s.Methods), fmt.Sprintln(s.Name, s.LowerCamel, s.Flipped, s.Flattened, unions, reflect.ValueOf(s.Document).Pointer())}
}

type operation struct {
	name   string
	input  reflect.Type // the struct
	method reflect.Value
}

func (o *operation) call(ctx context.Context, in any) (any, error) {
	out := o.method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(in)})
	if err, _ := out[1].Interface().(error); err != nil {
		return nil, err
	}
	return out[0].Interface(), nil
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

func mount(s Service) (*mounted, error) {
	shape := shapeOf(s)
	known, checked := codecs.Load(shape)
	if !checked {
		c, err := newCodec(s)
		if err != nil {
			return nil, err
		}
		known = c
	}
	c := known.(*codec)
	m := &mounted{Service: s, operations: map[string]*operation{}, codec: c}
	v := reflect.ValueOf(s.Methods)
	for i := range v.NumMethod() {
		name, method := v.Type().Method(i).Name, v.Method(i)
		if !isOperation(name, method.Type()) {
			continue
		}
		for _, t := range []reflect.Type{method.Type().In(1), method.Type().Out(0)} {
			if checked {
				break
			}
			if err := c.check(t, map[reflect.Type]bool{}); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		m.operations[name] = &operation{name: name, input: method.Type().In(1).Elem(), method: method}
	}
	if len(m.operations) == 0 {
		return nil, fmt.Errorf("%T has no method of the form Op(context.Context, *svc.OpInput) (*svc.OpOutput, error)", s.Methods)
	}
	codecs.Store(shape, c)
	return m, nil
}

// isOperation holds for the SDK's naming: Op takes *OpInput and answers *OpOutput of one service package.
func isOperation(name string, t reflect.Type) bool {
	if t.NumIn() != 2 || t.NumOut() != 2 || t.In(0) != contextType || t.Out(1) != errorType {
		return false
	}
	in, out := t.In(1), t.Out(0)
	if in.Kind() != reflect.Pointer || out.Kind() != reflect.Pointer {
		return false
	}
	in, out = in.Elem(), out.Elem()
	return in.Name() == name+"Input" && out.Name() == name+"Output" && in.PkgPath() == out.PkgPath() &&
		strings.HasPrefix(in.PkgPath(), "github.com/aws/aws-sdk-go-v2/service/")
}
