package app

import (
	"context"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/status"
)

// look is what the account shows of a service now, for whoever opens its page; nothing where this controller does not act. Nothing is
// decided on it and nobody else is told. Its requests are as urgent as those of a sweep, which is the least there is.
func (a *App) look(ctx context.Context, service string) (status.Observed, error) {
	account, view := a.account.Load(), a.board.Service(service)
	if account == nil || view == nil || view.Record.Intent == nil {
		return status.Observed{}, nil
	}
	seen, err := (*account).Observe(ctx, view.Record.Intent, observed.Look{Tasks: true, Targets: true})
	if err != nil {
		return status.Observed{}, err
	}
	return status.Observe(seen), nil
}
