package app

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// reach waits for the environment and connects to its account; nil where ctx ends before.
func (a *App) reach(ctx context.Context) (Account, error) {
	select {
	case <-a.ready.environment:
	case <-ctx.Done():
		return nil, nil
	}
	account, err := a.connect(ctx, a.asked.Environment())
	if err != nil {
		return nil, err
	}
	a.ready.done(partAccount)
	return account, nil
}

// connect opens the account and makes sure that it is the environment's. Trouble with the network is waited out; the
// wrong account is an error at once, since nothing will ever be right about it.
func (a *App) connect(ctx context.Context, env *desired.Environment) (Account, error) {
	account, err := a.cfg.Connect(ctx, env.Spec)
	if err != nil {
		return nil, fmt.Errorf("connect to account %s: %w", env.Spec.Account, err)
	}
	for attempt := 1; ; attempt++ {
		err := account.CheckIdentity(ctx)
		if err == nil {
			return account, nil
		}
		if final(err) || ctx.Err() != nil {
			return nil, err
		}
		a.cfg.Log.Warn("account cannot be reached", zap.Error(err), zap.Int("attempt", attempt))
		a.ready.why(partAccount, err.Error())
		select {
		case <-time.After(rollout.Backoff(attempt)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// remembered are the services that the ledger has records of. A shared ledger may be away for a while, which is waited out;
// nothing is returned where ctx ends before.
func (a *App) remembered(ctx context.Context, l Ledger) (services []string, records []rollout.Record, err error) {
	for attempt := 1; ; attempt++ {
		services, records = nil, nil
		err = l.Records(ctx, func(service string, rec rollout.Record, err error) {
			services = append(services, service)
			if err != nil {
				// One record that cannot be read is its own service's trouble: its passes tell it.
				a.cfg.Log.Error("record cannot be read", zap.String("service", service), zap.Error(err))
				return
			}
			records = append(records, rec)
		})
		if ctx.Err() != nil {
			return nil, nil, nil
		}
		if err == nil || a.cfg.Shared == nil || final(err) {
			return services, records, err
		}
		a.cfg.Log.Warn("ledger cannot be read", zap.Error(err), zap.Int("attempt", attempt))
		select {
		case <-time.After(rollout.Backoff(attempt)):
		case <-ctx.Done():
			return nil, nil, nil
		}
	}
}
