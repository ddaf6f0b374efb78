// Package order holds the rules of a canteen order: what a client may ask for and until when, what it costs, whether the
// kitchen can take it, and how it moves on. It is pure: no I/O, no clock, no randomness.
package order

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Limits of one order. They bound the work of one request; a bigger need is split into several orders.
const (
	LinesMax    = 100
	QuantityMax = 10_000
)

// What keeps an order from being placed or found. Whoever stores orders wraps these, whoever serves them asks with
// errors.Is.
var (
	// ErrNotFound says that no order has this id.
	ErrNotFound = errors.New("order not found")
	// ErrKeyReused says that the idempotency key belongs to an order with other content.
	ErrKeyReused = errors.New("idempotency key was used for a different order")
	// ErrUnknownEvent says that an event cannot be understood: no repetition mends it.
	ErrUnknownEvent = errors.New("event not understood")
	// ErrTooEarly says that an event came before one that has to come first: the same event may succeed later.
	ErrTooEarly = errors.New("event came too early")
	// ErrUnavailable says that the store did not answer: the same request may succeed later.
	ErrUnavailable = errors.New("order store unavailable")
)

// Line asks for a quantity of one item of the menu.
type Line struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

// Draft is what a client asks for: the meals of one school on one day. School and item are identifiers, not names of
// people: an order holds no personal data.
type Draft struct {
	School string `json:"school"`
	Date   string `json:"date"` // a calendar day, YYYY-MM-DD (RFC 3339 full-date)
	Lines  []Line `json:"lines"`
}

// Order is a draft that was placed, and how far it has come.
type Order struct {
	ID     string       `json:"id"`
	School string       `json:"school"`
	Date   string       `json:"date"`
	Lines  []PricedLine `json:"lines"`
	// Total is nil for an order of a release that knew no prices, until it is accepted.
	Total     *Money    `json:"total,omitempty"`
	Status    Status    `json:"status"`
	Reason    Reason    `json:"reason,omitempty"` // why it was cancelled
	CreatedAt time.Time `json:"createdAt"`        // UTC, microseconds
}

// PricedLine is a line at the price of the day on which it was ordered.
type PricedLine struct {
	Line
	UnitPrice *int64 `json:"unitPrice,omitempty"` // minor units of the total's currency; nil like the total
}

var id = regexp.MustCompile(`^[A-Z2-7]{26,64}$`)

// ValidID tells whether s can be an order's id at all, so that nothing else need be sent to a database: letters and
// digits of RFC 4648 base32, at least the 26 that crypto/rand.Text gives.
func ValidID(s string) bool { return id.MatchString(s) }

// Violation is one broken rule. Pointer says where, as a JSON Pointer in URI fragment form (RFC 6901 §6), which is how
// RFC 9457 §3 shows it.
type Violation struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

var identifier = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

// ValidIdentifier tells whether s can name a school or an item.
func ValidIdentifier(s string) bool { return identifier.MatchString(s) }

// ValidDay tells whether s is a day of the calendar written YYYY-MM-DD.
func ValidDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

const identifierRule = "must be 1 to 64 lower-case letters, digits and inner hyphens"

// Validate returns every rule that the draft breaks, in the order of the document; none means that it may be placed.
func (d Draft) Validate() []Violation {
	var broken []Violation
	report := func(pointer, detail string) {
		broken = append(broken, Violation{Pointer: pointer, Detail: detail})
	}
	if !identifier.MatchString(d.School) {
		report("#/school", identifierRule)
	}
	if !ValidDay(d.Date) {
		report("#/date", "must be a day of the calendar written YYYY-MM-DD")
	}
	switch {
	case len(d.Lines) == 0:
		report("#/lines", "must have at least one line")
	case len(d.Lines) > LinesMax:
		// The lines themselves are not looked at: an answer has a limit, too.
		report("#/lines", fmt.Sprintf("must have at most %d lines, has %d", LinesMax, len(d.Lines)))
		return broken
	}
	seen := make(map[string]int, len(d.Lines))
	for i, line := range d.Lines {
		at := fmt.Sprintf("#/lines/%d", i)
		if !identifier.MatchString(line.Item) {
			report(at+"/item", identifierRule)
		} else if first, dup := seen[line.Item]; dup {
			report(at+"/item", fmt.Sprintf("must not repeat the item of line %d: add the quantities", first))
		} else {
			seen[line.Item] = i
		}
		if line.Quantity < 1 || line.Quantity > QuantityMax {
			report(at+"/quantity", fmt.Sprintf("must be from 1 to %d", QuantityMax))
		}
	}
	return broken
}

// Fingerprint names the content of a draft: equal drafts have equal fingerprints, different ones differ. It is stored
// beside the idempotency key and compared by later releases, so the encoding never changes; a new one takes a new
// prefix.
func (d Draft) Fingerprint() string {
	lines := make([][2]any, len(d.Lines))
	for i, line := range d.Lines {
		lines[i] = [2]any{line.Item, line.Quantity}
	}
	content, err := json.Marshal([]any{d.School, d.Date, lines})
	if err != nil {
		panic(fmt.Sprintf("order: strings and integers always encode: %v", err))
	}
	sum := sha256.Sum256(content)
	return "v1:" + hex.EncodeToString(sum[:])
}
