package desired_test

import (
	"slices"
	"testing"

	"github.com/canteen/deploy/controller/desired"
)

func TestConfirms(t *testing.T) {
	for message, want := range map[string][]string{
		"Bump all\n\nConfirm-Mass-Change: 812":                             {"812"},
		"Bump all\n\nBecause of the CVE.\n\nconfirm-mass-change: 812\n\n":  {"812"},
		"Bump all\r\n\r\nReviewed-by: Ada\r\nConfirm-Mass-Change: 1a2b3c4": {"1a2b3c4"},
		"Confirm-Mass-Change: 812":                                         nil, // a subject is no trailer
		"Bump all\n\nConfirm-Mass-Change: 812\n\nIn other words: go.":      nil, // nor is what stands in the middle
		"Bump all\n\nConfirm-Mass-Change:":                                 nil,
		"Bump all\n\nConfirm-Mass-Change: 1\nConfirm-Mass-Change: 2":       {"1", "2"},
		"": nil,
	} {
		if got := desired.Confirms(message); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}
