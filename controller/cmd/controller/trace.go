package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/trace"
)

// tracer is nil where no collector is named.
func (f *runFlags) tracer(ctx context.Context, registry *prometheus.Registry, log *zap.Logger) (*trace.Tracer, error) {
	if f.otlp == "" {
		return nil, nil
	}
	return trace.New(ctx, trace.Options{
		URL: f.otlp, Version: version, Registry: registry, Log: log,
		Place: trace.Place{Environment: f.env, Source: f.git.Source, Branch: f.git.Branch, Page: f.page},
	})
}
