package order

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func berlin(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func limit(n int) *int { return &n }

func TestDeadlineIsOnTheSchoolsClock(t *testing.T) {
	for name, tc := range map[string]struct {
		day    string
		before int
		cutOff time.Duration
		want   string // UTC
	}{
		"winter":                   {"2026-12-01", 1, 14 * time.Hour, "2026-11-30T13:00:00Z"},
		"summer":                   {"2026-07-01", 1, 14 * time.Hour, "2026-06-30T12:00:00Z"},
		"same day":                 {"2026-12-01", 0, 8*time.Hour + 30*time.Minute, "2026-12-01T07:30:00Z"},
		"over the change in March": {"2026-03-30", 2, 14 * time.Hour, "2026-03-28T13:00:00Z"},
		"on the day of the change": {"2026-03-29", 0, 14 * time.Hour, "2026-03-29T12:00:00Z"},
		"new year":                 {"2027-01-01", 3, 0, "2026-12-28T23:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			day, err := time.Parse(time.DateOnly, tc.day)
			if err != nil {
				t.Fatal(err)
			}
			s := School{ID: "north", Zone: berlin(t), DaysBefore: tc.before, CutOff: tc.cutOff}
			if got := s.Deadline(day).UTC().Format(time.RFC3339); got != tc.want {
				t.Errorf("deadline %s, want %s", got, tc.want)
			}
		})
	}
}

func TestPrice(t *testing.T) {
	menu := Menu{
		"soup":  {Price: Money{350, "EUR"}},
		"bread": {Price: Money{45, "EUR"}},
		"tea":   {Price: Money{0, "EUR"}},
		"pasta": {Price: Money{400, "CHF"}},
		"goose": {Price: Money{900, "EUR"}, First: "2026-11-11", Last: "2026-12-26"},
	}
	north := &School{ID: "north", Zone: berlin(t), DaysBefore: 1, CutOff: 14 * time.Hour}
	deadline := time.Date(2026, 11, 30, 13, 0, 0, 0, time.UTC) // of the first of December
	early := deadline.Add(-time.Hour)
	lines := func(items ...string) (all []Line) {
		for i, item := range items {
			all = append(all, Line{Item: item, Quantity: i + 1})
		}
		return all
	}
	for name, tc := range map[string]struct {
		school *School
		date   string
		lines  []Line
		now    time.Time
		total  Money
		broken []string
	}{
		"good":             {north, "2026-12-01", lines("soup", "bread"), early, Money{350 + 2*45, "EUR"}, nil},
		"for nothing":      {north, "2026-12-01", lines("tea"), early, Money{0, "EUR"}, nil},
		"last moment":      {north, "2026-12-01", lines("soup"), deadline.Add(-time.Nanosecond), Money{350, "EUR"}, nil},
		"deadline":         {north, "2026-12-01", lines("soup"), deadline, Money{}, []string{"#/date"}},
		"yesterday":        {north, "2026-11-29", lines("soup"), early, Money{}, []string{"#/date"}},
		"unknown school":   {nil, "2026-12-01", lines("soup", "cake"), early, Money{}, []string{"#/school"}},
		"not on the menu":  {north, "2026-12-01", lines("soup", "cake"), early, Money{}, []string{"#/lines/1/item"}},
		"first day":        {north, "2026-11-11", lines("goose"), time.Time{}, Money{900, "EUR"}, nil},
		"day before it":    {north, "2026-11-10", lines("goose"), time.Time{}, Money{}, []string{"#/lines/0/item"}},
		"last day":         {north, "2026-12-26", lines("goose"), early, Money{900, "EUR"}, nil},
		"day after it":     {north, "2026-12-27", lines("goose"), early, Money{}, []string{"#/lines/0/item"}},
		"two currencies":   {north, "2026-12-01", lines("soup", "pasta"), early, Money{}, []string{"#/lines/1/item"}},
		"everything wrong": {north, "2026-11-30", lines("cake", "soup", "pasta"), early, Money{}, []string{"#/date", "#/lines/0/item", "#/lines/2/item"}},
	} {
		t.Run(name, func(t *testing.T) {
			priced, total, broken := Draft{School: "north", Date: tc.date, Lines: tc.lines}.Price(tc.school, menu, tc.now)
			var pointers []string
			for _, v := range broken {
				pointers = append(pointers, v.Pointer)
			}
			if diff := cmp.Diff(tc.broken, pointers); diff != "" || total != tc.total {
				t.Errorf("total %v, want %v; pointers (-want +got):\n%s", total, tc.total, diff)
			}
			if tc.broken == nil && len(priced) != len(tc.lines) {
				t.Errorf("%d lines of %d priced", len(priced), len(tc.lines))
			}
		})
	}
}

func TestAccept(t *testing.T) {
	menu := Menu{"soup": {Price: Money{350, "EUR"}, Stock: limit(10)}, "bread": {Price: Money{45, "EUR"}}, "none": {Price: Money{1, "EUR"}, Stock: limit(0)}}
	placed := func(priced bool, lines ...Line) Order {
		o := Order{School: "north", Date: "2026-12-01", Status: StatusPlaced}
		price := int64(1)
		for _, l := range lines {
			o.Lines = append(o.Lines, PricedLine{Line: l})
			if priced {
				o.Lines[len(o.Lines)-1].UnitPrice, o.Total = &price, &Money{7, "EUR"}
			}
		}
		return o
	}
	for name, tc := range map[string]struct {
		order    Order
		reserved map[string]int
		to       Status
		reason   Reason
		total    int64
		reserve  map[string]int
	}{
		"no limit":            {placed(true, Line{"bread", 500}), nil, StatusAccepted, "", 7, map[string]int{}},
		"the last ones":       {placed(true, Line{"soup", 4}), map[string]int{"soup": 6}, StatusAccepted, "", 7, map[string]int{"soup": 4}},
		"one too many":        {placed(true, Line{"bread", 1}, Line{"soup", 5}), map[string]int{"soup": 6}, StatusCancelled, ReasonSoldOut, 7, nil},
		"never any":           {placed(true, Line{"none", 1}), nil, StatusCancelled, ReasonSoldOut, 7, nil},
		"left the menu since": {placed(true, Line{"cake", 1}), nil, StatusAccepted, "", 7, map[string]int{}},
		"limit was lowered":   {placed(true, Line{"soup", 1}), map[string]int{"soup": 40}, StatusCancelled, ReasonSoldOut, 7, nil},
		"without prices":      {placed(false, Line{"soup", 2}), nil, StatusAccepted, "", 700, map[string]int{"soup": 2}},
		"nobody's price":      {placed(false, Line{"cake", 2}), nil, StatusCancelled, ReasonNotOnMenu, 0, nil},
		"without lines":       {placed(false), nil, StatusCancelled, ReasonNotOnMenu, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Accept(tc.order, menu, tc.reserved)
			total := int64(0)
			if got.Total != nil {
				total = got.Total.Amount
			}
			if got.To != tc.to || got.Reason != tc.reason || total != tc.total {
				t.Errorf("%s %q, total %d, want %s %q, %d", got.To, got.Reason, total, tc.to, tc.reason, tc.total)
			}
			if diff := cmp.Diff(tc.reserve, got.Reserve); diff != "" {
				t.Errorf("reserved (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever is ordered and given back in whatever order: a day's stock is never exceeded, what is reserved is what accepted
// orders hold, nobody is refused who would have got everything, and a total is the sum of its lines.
func TestStockIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		menu := Menu{}
		for i := range 4 {
			item := Item{Price: Money{rapid.Int64Range(0, PriceMax).Draw(t, "price"), "EUR"}}
			if rapid.Bool().Draw(t, "limited") {
				item.Stock = limit(rapid.IntRange(0, 30).Draw(t, "stock"))
			}
			menu[fmt.Sprint("item-", i)] = item
		}
		school := &School{ID: "north", Zone: time.UTC}
		reserved, held := map[string]int{}, []map[string]int{}
		line := rapid.Custom(func(t *rapid.T) Line {
			return Line{Item: fmt.Sprint("item-", rapid.IntRange(0, 3).Draw(t, "item")), Quantity: rapid.IntRange(1, 20).Draw(t, "quantity")}
		})
		for range rapid.IntRange(1, 30).Draw(t, "orders") {
			if len(held) > 0 && rapid.Bool().Draw(t, "give back") {
				for item, n := range held[0] {
					reserved[item] -= n
				}
				held = held[1:]
				continue
			}
			d := Draft{School: "north", Date: "2026-12-01", Lines: rapid.SliceOfNDistinct(line, 1, 3, func(l Line) string { return l.Item }).Draw(t, "lines")}
			lines, total, broken := d.Price(school, menu, time.Time{})
			if broken != nil {
				t.Fatalf("refused: %v", broken)
			}
			sum, fits := int64(0), true
			for _, l := range lines {
				sum += *l.UnitPrice * int64(l.Quantity)
				fits = fits && (menu[l.Item].Stock == nil || reserved[l.Item]+l.Quantity <= *menu[l.Item].Stock)
			}
			if sum != total.Amount {
				t.Fatalf("total %d, its lines %d", total.Amount, sum)
			}
			a := Accept(Order{Date: d.Date, School: d.School, Lines: lines, Total: &total, Status: StatusPlaced}, menu, reserved)
			if fits != (a.To == StatusAccepted) {
				t.Fatalf("%s although fits is %v", a.To, fits)
			}
			for item, n := range a.Reserve {
				reserved[item] += n
			}
			held = append(held, a.Reserve)
		}
		for item, n := range reserved {
			if menu[item].Stock == nil || n > *menu[item].Stock || n < 0 {
				t.Fatalf("%d of %s reserved, limit %v", n, item, menu[item].Stock)
			}
		}
	})
}

func TestRefusalNamesTheFirstReason(t *testing.T) {
	err := &Refusal{Violations: []Violation{{Pointer: "#/date", Detail: "too late"}, {Pointer: "#/school"}}}
	if !strings.Contains(err.Error(), "#/date too late") {
		t.Error(err)
	}
}
