package ecs

import (
	"encoding/base64"
	"encoding/json"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// tokenLife is how long a page token is good. ECS documents that tokens expire
// and not when.
const tokenLife = 24 * time.Hour

// pageToken is where a listing goes on. It names the last key given, so that
// what comes and goes between two calls neither repeats nor hides anything else.
type pageToken struct {
	Listing string    `json:"l"`
	After   string    `json:"a"`
	At      time.Time `json:"t"`
}

// listing names an operation and what it was asked to list: a token is good for
// that alone.
func listing(parts ...string) string { return strings.Join(parts, "\x00") }

// page cuts one page out of keys, which are sorted and unique. A token of
// another listing, an expired one and one that is none are
// InvalidParameterExceptions.
func (e *Engine) page(of string, keys []string, descending bool, token *string, size *int32, standard int) ([]string, *string, error) {
	n := standard
	if size != nil {
		n = int(*size)
	}
	if n < 1 || n > 100 {
		return nil, nil, invalid("maxResults must be between 1 and 100")
	}
	if token != nil && *token != "" {
		var t pageToken
		raw, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil || json.Unmarshal(raw, &t) != nil || t.Listing != of {
			return nil, nil, invalid("Invalid token.")
		}
		if e.now.Sub(t.At) > tokenLife {
			return nil, nil, invalid("The token has expired.")
		}
		keys = keys[sort.Search(len(keys), func(i int) bool {
			if descending {
				return keys[i] < t.After
			}
			return keys[i] > t.After
		}):]
	}
	if len(keys) <= n {
		return keys, nil, nil
	}
	raw, err := json.Marshal(pageToken{of, keys[n-1], e.now})
	if err != nil {
		return nil, nil, err
	}
	return keys[:n], aws.String(base64.RawURLEncoding.EncodeToString(raw)), nil
}
