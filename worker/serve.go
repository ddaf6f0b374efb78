package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/store"
	"github.com/canteen/deploy/worker/web"
	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

const (
	// databaseWait is how long a starting server waits for a database that does not answer: a failover should not look
	// like a release that cannot start.
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

type settings struct {
	port        int
	inFlightMax int
	drain       time.Duration
	source      store.Source
}

func readSettings(getenv func(string) string) (settings, error) {
	port, errPort := number(getenv, "PORT", 8080, 0, 65535)
	inFlight, errInFlight := number(getenv, "MAX_IN_FLIGHT", 256, 1, 100_000)
	source, errSource := store.FromEnv(getenv)
	drain, errDrain := 2*time.Second, error(nil)
	if text := getenv("DRAIN"); text != "" {
		drain, errDrain = time.ParseDuration(text)
		if errDrain != nil || drain < 0 || drain > drainMax {
			errDrain = fmt.Errorf("DRAIN must be a duration from 0s to %s, is %q", drainMax, text)
		}
	}
	return settings{port: port, inFlightMax: inFlight, drain: drain, source: source},
		errors.Join(errPort, errInFlight, errDrain, errSource)
}

func number(getenv func(string) string, name string, fallback, low, high int) (int, error) {
	text := getenv(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s must be a number from %d to %d, is %q", name, low, high, text)
	}
	return n, nil
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
	orders, err := store.Open(set.source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, orders.Close()) }()
	if err := awaitSchema(ctx, orders, log); err != nil {
		return fmt.Errorf("check %s: %w", set.source, err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(orders.DB(), "orders"))
	server := web.New(web.Config{Orders: orders, Log: log, Registry: registry, InFlightMax: set.inFlightMax})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(set.port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("listening", zap.Int("port", listener.Addr().(*net.TCPAddr).Port), zap.String("version", version()),
		zap.Stringer("database", set.source))
	return server.Serve(ctx, listener, set.drain)
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
