package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	smithydocument "github.com/aws/smithy-go/document"
)

// codec knows how one service's Go types are named on the wire.
type codec struct {
	lowerCamel bool
	flipped    []string        // Service.Flipped
	flattened  map[string]Flat // Service.Flattened
	members    []reflect.Type  // pointers to the members of every union
	document   func(any) any
	kept       keeper
	structs    sync.Map // reflect.Type → *structPlan
	unions     sync.Map // reflect.Type → *union
}

// union is one union's members.
type union struct {
	byName map[string]reflect.Type // by wire name
	names  map[reflect.Type]string
}

// structPlan is what a struct looks like on the wire.
type structPlan struct {
	fields []field
	byName map[string]int // wire name → index into fields
	byFlat map[string]int // the same for forms, where flattened members have names of their own
}

type field struct {
	index int
	name  string
	flat  *Flat // nil unless the query protocol flattens it
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	bytesType    = reflect.TypeFor[[]byte]()
	documentType = reflect.TypeFor[smithydocument.Marshaler]()
)

func newCodec(s Service) (*codec, error) {
	c := &codec{lowerCamel: s.LowerCamel, flipped: s.Flipped, flattened: s.Flattened, document: s.Document}
	for _, list := range s.Kept {
		c.kept.types = append(c.kept.types, reflect.TypeOf(list))
	}
	if err := checkFlattened(s.Flattened); err != nil {
		return nil, err
	}
	for _, m := range s.Unions {
		if err := c.addUnionMember(reflect.TypeOf(m)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// addUnionMember takes *XMemberY as the member y of the union X.
func (c *codec) addUnionMember(ptr reflect.Type) error {
	if ptr.Kind() != reflect.Pointer || !strings.Contains(ptr.Elem().Name(), "Member") {
		return fmt.Errorf("union member %s: want a pointer to a type named <Union>Member<Name>", ptr)
	}
	if _, ok := ptr.Elem().FieldByName("Value"); !ok {
		return fmt.Errorf("union member %s has no field Value", ptr)
	}
	c.members = append(c.members, ptr)
	return nil
}

// unionOf answers the union's members; none where none is known.
func (c *codec) unionOf(iface reflect.Type) *union {
	if known, ok := c.unions.Load(iface); ok {
		return known.(*union)
	}
	u := &union{byName: map[string]reflect.Type{}, names: map[reflect.Type]string{}}
	for _, ptr := range c.members {
		name, isMember := strings.CutPrefix(ptr.Elem().Name(), iface.Name()+"Member")
		if isMember && ptr.Implements(iface) {
			name = c.wireName(name)
			u.byName[name], u.names[ptr.Elem()] = ptr.Elem(), name
		}
	}
	c.unions.Store(iface, u)
	return u
}

// wireName is a union member's name.
func (c *codec) wireName(goName string) string {
	if c.lowerCamel {
		return lowerFirst(goName)
	}
	return goName
}

// memberName is a structure member's name.
func (c *codec) memberName(structName, goName string) string {
	flip := slices.Contains(c.flipped, structName) || slices.Contains(c.flipped, structName+"."+goName)
	if c.lowerCamel != flip {
		return lowerFirst(goName)
	}
	return goName
}

func lowerFirst(s string) string {
	r := []rune(s)
	r[0] = unicode.ToLower(r[0])
	return string(r)
}

func (c *codec) plan(t reflect.Type) *structPlan {
	if p, ok := c.structs.Load(t); ok {
		return p.(*structPlan)
	}
	p := &structPlan{byName: map[string]int{}, byFlat: map[string]int{}}
	for i := range t.NumField() {
		f := t.Field(i)
		// ResultMetadata and ErrorCodeOverride are the SDK's own; the unexported one marks documents.
		if !f.IsExported() || f.Name == "ResultMetadata" || f.Name == "ErrorCodeOverride" {
			continue
		}
		name := c.memberName(t.Name(), f.Name)
		p.byName[name] = len(p.fields)
		flat := c.flat(t.Name(), f.Name)
		if flat == nil {
			p.byFlat[name] = len(p.fields)
		} else {
			p.byFlat[flat.Name] = len(p.fields)
		}
		if flat != nil && flat.Also != "" {
			p.byFlat[flat.Also] = len(p.fields)
		}
		p.fields = append(p.fields, field{index: i, name: name, flat: flat})
	}
	actual, _ := c.structs.LoadOrStore(t, p)
	return actual.(*structPlan)
}

// check walks a type and refuses what decode and encode could not carry.
func (c *codec) check(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || t == timeType || t == bytesType {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return c.check(t.Elem(), seen)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("map with keys of type %s", t.Key())
		}
		return c.check(t.Elem(), seen)
	case reflect.Struct:
		for _, f := range c.plan(t).fields {
			if err := c.check(t.Field(f.index).Type, seen); err != nil {
				return fmt.Errorf("%s.%s: %w", t.Name(), f.name, err)
			}
		}
		return nil
	case reflect.Interface:
		return c.checkInterface(t, seen)
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return nil
	default:
		return fmt.Errorf("type %s is not one this package carries", t)
	}
}

func (c *codec) checkInterface(t reflect.Type, seen map[reflect.Type]bool) error {
	if t.Implements(documentType) {
		if c.document == nil {
			return fmt.Errorf("document type %s, but the service has no Document function", t)
		}
		return nil
	}
	u := c.unionOf(t)
	if len(u.byName) == 0 {
		return fmt.Errorf("union %s, but Service.Unions lists no member of it", t)
	}
	for _, m := range u.byName {
		if err := c.check(m, seen); err != nil {
			return err
		}
	}
	return nil
}
