// Package fault names the kinds of failure that the controller treats differently. An error without a kind is
// retried with backoff: that is the safe answer to anything nobody has thought of.
package fault

import "errors"

// Kind says what a failure means for whoever asked.
type Kind string

const (
	// Unknown is any failure without a kind; it is retried with backoff. Of a write, one that carries a code was answered and
	// had no effect; one without a code may have had one.
	Unknown Kind = ""
	// Terminal means that the same input will always fail: git must change.
	Terminal Kind = "terminal"
	// Blocked means that something outside git must change first (a permission, a role, a secret, an image that is
	// not pushed yet). It is tried again with backoff, and nothing is held against the ask.
	Blocked Kind = "blocked"
	// Throttled means that the account's request budget is spent; wait and ask again.
	Throttled Kind = "throttled"
	// Unavailable means that the account has no room for it now. Nothing was done, and it passes by itself.
	Unavailable Kind = "unavailable"
	// Conflict means that somebody else wrote in between; look again before deciding anything.
	Conflict Kind = "conflict"
	// NotFound means that the thing named does not exist now, which may be a delay of the account's.
	NotFound Kind = "not_found"
	// Lost means that the request may or may not have taken effect: the answer never came. Look before repeating.
	Lost Kind = "lost"
)

// Error carries a kind, the service's own code where there is one, and the cause.
type Error struct {
	Kind Kind
	Code string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// New gives err a kind. It returns nil for a nil err.
func New(kind Kind, code string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Code: code, Err: err}
}

// KindOf returns the kind of the outermost classified error in err's chain, Unknown where there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unknown
}

// Is reports whether err carries the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// CodeOf returns the service's own error code of the outermost classified error, empty where there is none.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
