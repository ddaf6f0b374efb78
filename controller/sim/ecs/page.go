package ecs

import (
	"encoding/base64"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// page cuts one page out of keys, which are sorted and unique. The token names
// the last key given, so that what comes and goes between two calls neither
// repeats nor hides anything else.
func page(keys []string, descending bool, token *string, size *int32, standard int) ([]string, *string, error) {
	n := standard
	if size != nil {
		n = int(*size)
	}
	if n < 1 || n > 100 {
		return nil, nil, invalid("maxResults must be between 1 and 100")
	}
	from := 0
	if token != nil && *token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(*token)
		last, ok := strings.CutPrefix(string(raw), "after:")
		if err != nil || !ok {
			return nil, nil, invalid("Invalid token.")
		}
		from = sort.Search(len(keys), func(i int) bool {
			if descending {
				return keys[i] < last
			}
			return keys[i] > last
		})
	}
	keys = keys[from:]
	if len(keys) <= n {
		return keys, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte("after:" + keys[n-1]))
	return keys[:n], aws.String(next), nil
}
