package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/canteen/deploy/worker/order"
)

// Following next from page to page tells each order of that school and day once, and no other.
func TestPagesTellEachOrderOnce(t *testing.T) {
	server, _ := running(t)
	want := []string{}
	for i := range 23 {
		for j, other := range []string{soup, strings.Replace(soup, "north", "south", 1), strings.Replace(soup, "2099-12-01", "2099-12-02", 1)} {
			got := send(t, "POST", server.URL+"/orders", fmt.Sprintf("key-%d-%d", i, j), other)
			if got.status != http.StatusCreated {
				t.Fatalf("%d %s", got.status, got.body)
			}
			var o order.Order
			if err := json.Unmarshal([]byte(got.body), &o); err != nil {
				t.Fatal(err)
			}
			if other == soup {
				want = append(want, o.ID)
			}
		}
	}
	slices.Sort(want)
	for limit, pages := range map[int]int{1: 23, 10: 3, 23: 1, 200: 1} {
		var got []string
		n := 0
		for next := fmt.Sprintf("/orders?school=north&date=2099-12-01&limit=%d", limit); next != ""; n++ {
			a := send(t, "GET", server.URL+next, "", "")
			var page struct {
				Orders []order.Order
				Next   string
			}
			if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", next, a.status, a.body)
			}
			if link := a.header.Get("Link"); (link == "") != (page.Next == "") || !strings.Contains(link, page.Next) {
				t.Errorf("Link %q beside next %q", link, page.Next)
			}
			for _, o := range page.Orders {
				got = append(got, o.ID)
				if o.Total == nil || o.Total.Amount != 1050 || len(o.Lines) != 1 || o.Status != order.StatusPlaced {
					t.Errorf("order %+v", o)
				}
			}
			next = page.Next
		}
		if !slices.Equal(got, want) || n != pages {
			t.Errorf("limit %d: %d orders on %d pages, want %d on %d", limit, len(got), n, len(want), pages)
		}
	}
	if a := send(t, "GET", server.URL+"/orders?school=nobody&date=2099-12-01", "", ""); a.status != http.StatusOK || a.body != `{"orders":[]}`+"\n" {
		t.Errorf("no orders: %d %s", a.status, a.body)
	}
}

func TestWrongQueries(t *testing.T) {
	server, _ := running(t)
	for query, parameter := range map[string]string{
		"":                                      "?school",
		"?school=north":                         "?date",
		"?school=Ann%20S&date=2099-12-01":       "?school",
		"?school=north&date=tomorrow":           "?date",
		"?school=north&date=2099-12-01&limit=0": "?limit",
		"?school=north&date=2099-12-01&limit=201": "?limit",
		"?school=north&date=2099-12-01&limit=all": "?limit",
		"?school=north&date=2099-12-01&after=%27": "?after",
	} {
		a := send(t, "GET", server.URL+"/orders"+query, "", "")
		var p struct {
			Type   string
			Errors []order.Violation
		}
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != http.StatusBadRequest || p.Type != "urn:problem-type:canteen:invalid-query" ||
			len(p.Errors) == 0 || p.Errors[0].Pointer != parameter {
			t.Errorf("%s: %d %s, want %s", query, a.status, a.body, parameter)
		}
	}
}

// What school and menu do not allow is a problem that names each place, and leaves the key free.
func TestRefusedOrderLeavesItsKeyFree(t *testing.T) {
	server, _ := running(t)
	for name, tc := range map[string]struct{ body, pointer string }{
		"school":   {strings.Replace(soup, "north", "nowhere", 1), "#/school"},
		"item":     {strings.Replace(soup, "soup", "cake", 1), "#/lines/0/item"},
		"deadline": {strings.Replace(soup, "2099", "2020", 1), "#/date"},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, "POST", server.URL+"/orders", name, tc.body)
			if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "order-refused") || !strings.Contains(a.body, `"pointer":"`+tc.pointer+`"`) {
				t.Errorf("%d %s", a.status, a.body)
			}
			if a := send(t, "POST", server.URL+"/orders", name, soup); a.status != http.StatusCreated {
				t.Errorf("the key is taken: %d %s", a.status, a.body)
			}
		})
	}
}

func TestReadyWhileTheDatabaseAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tc := range map[string]struct {
			ping   func(context.Context) error
			status int
		}{
			"well":    {func(context.Context) error { return nil }, 200},
			"hanging": {never, 503},
			"refused": {func(context.Context) error { return order.ErrUnavailable }, 503},
		} {
			s, _ := newServer(fake{ping: tc.ping}, 1)
			if got := get(s.Handler(), "/ready"); got.Code != tc.status {
				t.Errorf("%s: %d %s, want %d", name, got.Code, got.Body, tc.status)
			}
		}
	})
}
