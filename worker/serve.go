package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/outbox"
	"github.com/canteen/deploy/worker/queue"
	"github.com/canteen/deploy/worker/store"
	"github.com/canteen/deploy/worker/web"
	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

const (
	// databaseWait is how long a starting server waits for a database that does not answer: one that restarts should not look like
	// a release that cannot start. Longer, as a failover takes, would be for the checks of container and load balancer to end.
	databaseWait = 15 * time.Second
	// drainMax leaves the last requests their time within the 10 s that a stop may take.
	drainMax = 3 * time.Second
)

func serveCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Take orders over HTTP until SIGTERM",
		Long: "Take orders over HTTP until SIGTERM. It never changes the schema, and refuses to start on one that is\n" +
			"older than it needs: `worker migrate` comes first.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), env) },
	}
}

func serve(ctx context.Context, env environment) (err error) {
	log, err := env.logger()
	if err != nil {
		return err
	}
	set, err := readSettings(env.getenv)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	give := func(err error) { end(failure{err}) }
	orders, err := store.Open(set.source, store.Options{PoolMax: set.poolMax, Refused: func(err error) {
		// A secret that was rotated: this process has the old one for ever, the next one reads the new one.
		give(fmt.Errorf("the database refuses our credentials, and a new process reads them anew: %w", err))
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, orders.Close()) }()
	if err := awaitSchema(ctx, orders, log); err != nil {
		return fmt.Errorf("check %s: %w", set.source, err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newPoolCollector(orders))
	relay, consumer, err := workers(ctx, set, orders, log, registry)
	if err != nil {
		return err
	}
	server := web.New(web.Config{Orders: orders, Log: log, Registry: registry, InFlightMax: set.inFlightMax, Placed: relay.Wake})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(set.port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("listening", zap.Int("port", listener.Addr().(*net.TCPAddr).Port), zap.String("version", version()),
		zap.Stringer("database", set.source))
	var work sync.WaitGroup
	relaying, stopRelay := context.WithCancel(context.WithoutCancel(ctx)) // the last orders' events leave, too
	defer stopRelay()
	work.Go(func() { relay.Run(relaying) })
	if consumer != nil {
		work.Go(func() {
			if err := consumer.Run(ctx); err != nil {
				give(err)
			}
		})
	}
	served := server.Serve(ctx, listener, set.drain)
	end(nil) // where it is Serve that ended
	stopRelay()
	work.Wait()
	log.Info("stopped")
	if f, ok := errors.AsType[failure](context.Cause(ctx)); ok {
		served = errors.Join(f.error, served)
	}
	return served
}

// failure is why the service ends by itself, in contrast to a signal.
type failure struct{ error }

// workers makes what brings events out of the outbox, and what takes them from the queue: nil where there is none, as the
// service then does what the events ask by itself.
func workers(ctx context.Context, set settings, orders *store.Store, log *zap.Logger, registry *prometheus.Registry) (*outbox.Relay, *queue.Consumer, error) {
	if set.queueURL == "" {
		return outbox.New(orders, outbox.Direct(orders.Apply, log), log, registry), nil, nil
	}
	q, err := queue.Connect(ctx, set.queueURL)
	if err != nil {
		return nil, nil, err
	}
	return outbox.New(orders, q.Send, log, registry), queue.NewConsumer(queue.Config{Queue: q, Apply: orders.Apply, Log: log,
		Registry: registry, Pollers: set.pollers, Workers: set.poolMax, Visibility: set.visibility}), nil
}

// awaitSchema returns nil once the database has the schema that this program needs. Only a database that does not
// answer is asked again.
func awaitSchema(ctx context.Context, orders *store.Store, log *zap.Logger) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(databaseWait))
	check := func() error {
		err := orders.CheckSchema(ctx)
		if err != nil && !errors.Is(err, order.ErrUnavailable) {
			return backoff.Permanent(err)
		}
		return err
	}
	return backoff.RetryNotify(check, backoff.WithContext(wait, ctx), func(err error, next time.Duration) {
		log.Warn("database not available yet", zap.Error(err), zap.Duration("again_in", next))
	})
}
