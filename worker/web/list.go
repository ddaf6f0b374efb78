package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/canteen/deploy/worker/order"
)

// A page's size, and the most that a client may ask for: at order.LinesMax lines each it is still an answer of a few MB.
const (
	pageDefault = 50
	pageMax     = 200
)

// page is the answer to a list. Next is the address of what follows, "" at the end.
type page struct {
	Orders []order.Order `json:"orders"`
	Next   string        `json:"next,omitempty"`
}

// listOrders answers a school's orders of one day, by id, page by page.
func (s *Server) listOrders(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	school, date, after := asked.Get("school"), asked.Get("date"), asked.Get("after")
	limit, broken := pageDefault, []order.Violation{}
	report := func(parameter, detail string) {
		broken = append(broken, order.Violation{Pointer: "?" + parameter, Detail: detail})
	}
	if !order.ValidIdentifier(school) {
		report("school", "must be a school's identifier")
	}
	if !order.ValidDay(date) {
		report("date", "must be a day of the calendar written YYYY-MM-DD")
	}
	if text := asked.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > pageMax {
			report("limit", fmt.Sprintf("must be from 1 to %d", pageMax))
		}
		limit = n
	}
	if after != "" && !order.ValidID(after) {
		report("after", "must be what an earlier page named as next")
	}
	if len(broken) > 0 {
		s.problem(w, r, problem{Status: http.StatusBadRequest, Type: typeInvalidQuery, Title: "The query breaks a rule",
			Detail: broken[0].Pointer + " " + broken[0].Detail, Errors: broken})
		return
	}
	found, more, err := s.orders.List(r.Context(), school, date, after, limit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := page{Orders: found}
	if more {
		next := url.Values{"school": {school}, "date": {date}, "limit": {strconv.Itoa(limit)}, "after": {found[len(found)-1].ID}}
		answer.Next = "/orders?" + next.Encode()
		w.Header().Set("Link", "<"+answer.Next+`>; rel="next"`) // RFC 8288
	}
	s.json(w, r, http.StatusOK, answer)
}
