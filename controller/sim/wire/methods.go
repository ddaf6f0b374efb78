package wire

import (
	"cmp"
	"encoding/base64"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// What follows helps those who write operations.

// Refuse answers an error naming the first member of an operation's input that is set although the
// operation does not model it: nothing that a client asks for is silently ignored. in points to the input.
func Refuse(in any, modelled ...string) error {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && !slices.Contains(modelled, f.Name) && !v.Field(i).IsZero() {
			return &smithy.GenericAPIError{
				Code:    "NotModelledException",
				Message: strings.TrimSuffix(v.Type().Name(), "Input") + ": " + f.Name + " is not modelled by this account",
				Fault:   smithy.FaultClient,
			}
		}
	}
	return nil
}

// Page cuts one page out of items and answers the token of the next, nil after the last. Pages are in the
// order of key, which must be unique; the token names the last key of a page, so that items which come and
// go between two calls neither repeat nor hide others. ok is false for a token that Page did not make.
func Page[T any](items []T, key func(T) string, token *string, limit int) (page []T, next *string, ok bool) {
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if token != nil {
		last, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, false
		}
		from, found := slices.BinarySearchFunc(items, string(last), func(i T, k string) int { return cmp.Compare(key(i), k) })
		if found {
			from++
		}
		items = items[from:]
	}
	if len(items) <= limit {
		return items, nil, true
	}
	t := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items[:limit:limit], &t, true
}
