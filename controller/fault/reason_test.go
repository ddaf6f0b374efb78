package fault

import (
	"errors"
	"slices"
	"testing"
)

func TestReason(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		code string
		want string
	}{
		{Blocked, "AccessDeniedException", ReasonAccessDenied}, {Blocked, "ExpiredToken", ReasonCredentialsRefused}, {Blocked, "InvalidParameterException", ReasonRequestRefused},
		{NotFound, "TargetGroupNotFound", ReasonTargetGroupMissing}, {NotFound, "ResourceNotFoundException", ReasonNotFound}, {Throttled, "own_budget", ReasonThrottled},
		{Unknown, "SurpriseException", ReasonCallFails}, {Kind("of another version"), "x", ReasonCallFails},
	} {
		got := ReasonOf(New(tt.kind, tt.code, errors.New("text")))
		if got != tt.want || !slices.Contains(Reasons(), got) {
			t.Errorf("%s %s: %s, want %s", tt.kind, tt.code, got, tt.want)
		}
	}
}
