package order

import (
	"fmt"
	"time"
)

// Money is an amount in minor units, such as cents, of an ISO 4217 currency. There are no fractions, so nothing is rounded.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// PriceMax bounds an item's price. With QuantityMax and LinesMax the dearest order is 10^12 minor units, far from the end
// of an int64.
const PriceMax = 1_000_000

// School says until when its orders are taken.
type School struct {
	ID string
	// Zone is where the school's clock is.
	Zone *time.Location
	// DaysBefore and CutOff give the last moment: so many days before the meal, at this time of the school's day.
	DaysBefore int
	CutOff     time.Duration
}

// Deadline is the moment from which orders for a day are no longer taken. The clock's change in spring or autumn moves it
// with the school's clock.
func (s School) Deadline(day time.Time) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day()-s.DaysBefore, 0, int(s.CutOff/time.Minute), 0, 0, s.Zone)
}

// Item is something on the menu.
type Item struct {
	Price Money
	// Stock is how many the kitchen can make for one day, all schools together; nil is as many as are asked for.
	Stock *int
	// First and Last bound the days on which there is such a meal, both included and written YYYY-MM-DD; empty is no bound.
	First, Last string
}

func (i Item) servedOn(date string) bool {
	return (i.First == "" || i.First <= date) && (i.Last == "" || date <= i.Last)
}

// Menu is items by their identifier.
type Menu map[string]Item

// Price returns the lines with their prices and what they cost together, or each reason why the draft, valid in itself,
// cannot be placed at the time now: a school that is not known (nil), a deadline that has passed, an item that is not on
// that day's menu, two currencies in one order.
func (d Draft) Price(school *School, menu Menu, now time.Time) ([]PricedLine, Money, []Violation) {
	if school == nil {
		return nil, Money{}, []Violation{{Pointer: "#/school", Detail: "is not a school that orders here"}}
	}
	var broken []Violation
	day, err := time.Parse(time.DateOnly, d.Date)
	if err != nil {
		return nil, Money{}, d.Validate()
	}
	if deadline := school.Deadline(day); !now.Before(deadline) {
		broken = append(broken, Violation{Pointer: "#/date",
			Detail: "orders for this day were taken until " + deadline.Format(time.RFC3339)})
	}
	lines, total := make([]PricedLine, len(d.Lines)), Money{}
	for i, line := range d.Lines {
		at := fmt.Sprintf("#/lines/%d/item", i)
		item, known := menu[line.Item]
		switch {
		case !known || !item.servedOn(d.Date):
			broken = append(broken, Violation{Pointer: at, Detail: "is not on the menu of this day"})
			continue
		case total.Currency == "":
			total.Currency = item.Price.Currency
		case total.Currency != item.Price.Currency:
			broken = append(broken, Violation{Pointer: at, Detail: "is sold in " + item.Price.Currency + ", the lines before in " + total.Currency})
			continue
		}
		price := item.Price.Amount
		lines[i] = PricedLine{Line: line, UnitPrice: &price}
		total.Amount += price * int64(line.Quantity)
	}
	if len(broken) > 0 {
		return nil, Money{}, broken
	}
	return lines, total, nil
}

// Refusal is the error of a draft that cannot be placed.
type Refusal struct{ Violations []Violation }

// Error names the first reason.
func (r *Refusal) Error() string {
	return fmt.Sprintf("order refused: %s %s", r.Violations[0].Pointer, r.Violations[0].Detail)
}

// Reason says why an order was cancelled.
type Reason string

// The reasons of a cancellation. They are stored and shown, and compared by programs: none changes its name.
const (
	ReasonSoldOut   Reason = "sold-out"
	ReasonNotOnMenu Reason = "not-on-menu" // only an order of a release that did not look at the menu
	ReasonAsked     Reason = "asked"       // by an event
)

// Acceptance is what the kitchen says to an order that was placed.
type Acceptance struct {
	To     Status // StatusAccepted or StatusCancelled
	Reason Reason // of a cancellation
	// Lines and Total are the order's, priced now where they were not.
	Lines []PricedLine
	Total *Money
	// Reserve is what the order takes of the day's stock, by item; items without a limit are not in it.
	Reserve map[string]int
}

// Accept decides on an order that was placed, from what is already reserved of its day's stock. All or nothing: an order
// that would get half of its meals is cancelled.
func Accept(o Order, menu Menu, reserved map[string]int) Acceptance {
	a := Acceptance{To: StatusAccepted, Lines: o.Lines, Total: o.Total, Reserve: map[string]int{}}
	if o.Total == nil {
		if a.Lines, a.Total = priceLate(o, menu); a.Total == nil {
			return Acceptance{To: StatusCancelled, Reason: ReasonNotOnMenu, Lines: o.Lines}
		}
	}
	for _, line := range o.Lines {
		item, known := menu[line.Item]
		if !known || item.Stock == nil { // what has left the menu since then is still made for those who ordered in time
			continue
		}
		if reserved[line.Item]+line.Quantity > *item.Stock {
			return Acceptance{To: StatusCancelled, Reason: ReasonSoldOut, Lines: a.Lines, Total: a.Total}
		}
		a.Reserve[line.Item] = line.Quantity
	}
	return a
}

// priceLate prices an order of a release that knew no prices; a nil total says that it cannot be.
func priceLate(o Order, menu Menu) ([]PricedLine, *Money) {
	d := Draft{School: o.School, Date: o.Date}
	for _, line := range o.Lines {
		d.Lines = append(d.Lines, line.Line)
	}
	// It was placed in time, or that release would have refused it: no deadline applies any more.
	always := School{Zone: time.UTC}
	lines, total, broken := d.Price(&always, menu, time.Time{})
	if len(broken) > 0 || len(lines) == 0 {
		return nil, nil
	}
	return lines, &total
}
