package app

import (
	"context"
	"errors"
	"testing"
)

// Whoever sees that the passes under way were ended because the lease is lost sees also that none may begin.
func TestNoPassBeginsOnceTheLeaseIsLost(t *testing.T) {
	why := errors.New("the lease is lost")
	for range 1000 {
		lost, lose := context.WithCancelCause(t.Context())
		soft, atOnce, end := untilLost(t.Context(), t.Context(), lost)
		lose(why)
		<-atOnce.Done()
		if context.Cause(soft) != why || context.Cause(atOnce) != why {
			t.Fatalf("passes are ended for %v, and may begin until %v", context.Cause(atOnce), context.Cause(soft))
		}
		end()
	}
}
