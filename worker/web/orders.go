package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/canteen/deploy/worker/order"
	"go.uber.org/zap"
)

// idempotencyKey bounds the key to what a header and an index take; clients send a UUID or the like
// (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).
var idempotencyKey = regexp.MustCompile(`^[\x21-\x7e]{1,255}$`)

// placeOrder answers 201 for a new order and 200, with the same order, for each repeat of its key.
func (s *Server) placeOrder(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if !idempotencyKey.MatchString(key) {
		s.problem(w, r, problem{Status: http.StatusBadRequest, Type: typeKeyMissing,
			Title:  "Idempotency-Key is missing or not usable",
			Detail: "send a header Idempotency-Key of 1 to 255 visible ASCII characters, new for each order and the same for each retry of it"})
		return
	}
	draft, bad := decodeDraft(w, r)
	if bad == nil {
		if broken := draft.Validate(); len(broken) > 0 {
			bad = &problem{Status: http.StatusBadRequest, Type: typeInvalidOrder, Title: "The order breaks a rule",
				Detail: fmt.Sprintf("%s %s", broken[0].Pointer, broken[0].Detail), Errors: broken}
		}
	}
	if bad != nil {
		s.problem(w, r, *bad)
		return
	}
	placed, created, err := s.orders.Place(r.Context(), key, draft)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Location", "/orders/"+placed.ID)
	status := http.StatusOK
	if created {
		s.metrics.created.Inc()
		s.placed()
		status = http.StatusCreated
		s.logger(r).Info("order placed", zap.String("order_id", placed.ID), zap.Int("lines", len(placed.Lines)))
	}
	s.json(w, r, status, placed)
}

func (s *Server) getOrder(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !order.ValidID(id) {
		s.fail(w, r, order.ErrNotFound)
		return
	}
	found, err := s.orders.Get(r.Context(), id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.json(w, r, http.StatusOK, found)
}

// decodeDraft reads one JSON document and nothing else. A misspelt field is refused: to ignore it would be to place
// an order that the client did not mean.
func decodeDraft(w http.ResponseWriter, r *http.Request) (order.Draft, *problem) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return order.Draft{}, &problem{Status: http.StatusUnsupportedMediaType, Detail: "send the order as application/json"}
	}
	var draft order.Draft
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	in.DisallowUnknownFields()
	err = in.Decode(&draft)
	if err == nil {
		if _, err = in.Token(); errors.Is(err, io.EOF) {
			return draft, nil
		} else if err == nil {
			err = errors.New("more than one JSON value")
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return order.Draft{}, &problem{Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("the body must have at most %d bytes", bodyMax)}
	}
	bad := problem{Status: http.StatusBadRequest, Type: typeInvalidOrder, Title: "The body is not an order"}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// The value itself is not repeated: a problem may end up in somebody's log.
		bad.Detail = fmt.Sprintf("%s must be of JSON type %s", orBody(wrong.Field), jsonType(wrong.Type.Kind()))
	} else {
		bad.Detail = strings.TrimPrefix(err.Error(), "json: ")
	}
	return order.Draft{}, &bad
}

// fail answers an error of the store.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refusal, ok := errors.AsType[*order.Refusal](err); ok {
		first := refusal.Violations[0]
		s.problem(w, r, problem{Status: http.StatusUnprocessableEntity, Type: typeOrderRefused, Title: "The order cannot be placed",
			Detail: first.Pointer + " " + first.Detail, Errors: refusal.Violations})
		return
	}
	switch {
	case errors.Is(err, order.ErrNotFound):
		s.problem(w, r, problem{Status: http.StatusNotFound, Detail: "there is no order with this id"})
	case errors.Is(err, order.ErrKeyReused):
		s.problem(w, r, problem{Status: http.StatusUnprocessableEntity, Type: typeKeyReused,
			Title: "Idempotency-Key belongs to another order", Detail: "this key was used with other content: take a new key for a new order"})
	case errors.Is(r.Context().Err(), context.Canceled):
		// The client has gone: nobody reads an answer, and it is no fault of ours.
		s.logger(r).Info("client went away", zap.Error(err))
		w.WriteHeader(statusClientClosed)
	case errors.Is(err, order.ErrUnavailable):
		s.logger(r).Error("store unavailable", zap.Error(err))
		s.busy(w, r, "the database does not answer: send the same request again, with the same Idempotency-Key")
	default:
		s.logger(r).Error("request failed", zap.Error(err))
		s.problem(w, r, problem{Status: http.StatusInternalServerError, Detail: "the order service met a defect; quote the request id"})
	}
}
