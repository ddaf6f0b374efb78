// Package trace tells a collector of OpenTelemetry how rollouts went: one trace for each that ended, from the commit to the verdict,
// with a span for each stage.
//
// A trace is made of the history's entry once the rollout has ended; nothing is measured while it goes on. It is told at most once, and
// never waited for: what does not fit into a bounded queue while the collector is away is dropped and counted.
package trace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/rollout"
)

// The bounds. A rollout's trace has less than twenty spans.
const (
	queueMax   = 256             // rollouts that wait; more are dropped
	batchMax   = 64              // of one request
	keepFor    = 5 * time.Minute // how long it is tried to reach the collector with what was taken from the queue
	firstRetry = time.Second
	longRetry  = 30 * time.Second
	flushFor   = time.Second // at the end of the process
)

// serviceName is the controller's, where OTEL_SERVICE_NAME does not say otherwise.
const serviceName = "deploy-controller"

// Options are what a tracer is made with. Headers, certificates, compression and timeouts are read from the variables
// OTEL_EXPORTER_OTLP_…, the resource from OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, the sampler from OTEL_TRACES_SAMPLER.
type Options struct {
	URL      string // as Address answered
	Place    Place
	Version  string       // the controller's
	Client   *http.Client // nil: the SDK's own
	Registry prometheus.Registerer
	Log      *zap.Logger
}

// History answers the newest finished rollouts of a service, newest first.
type History func(ctx context.Context, service string, limit int) ([]rollout.Entry, error)

// Tracer tells of rollouts. Ended is for any goroutine and waits for nothing; Run is for one.
type Tracer struct {
	place    Place
	log      *zap.Logger
	metrics  metrics
	queue    chan rollout.Entry
	draw     drawer
	exporter *otlptrace.Exporter
	failing  bool
}

// Address is where traces are posted at a collector's address: with /v1/traces behind it, where that is not there already.
func Address(collector string) (string, error) {
	u, err := url.Parse(collector)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("it must be the collector's address, such as http://localhost:4318; what lets somebody in belongs into OTEL_EXPORTER_OTLP_HEADERS")
	}
	if strings.HasSuffix(u.Path, "/v1/traces") {
		return u.String(), nil
	}
	return u.JoinPath("v1/traces").String(), nil
}

// New makes a tracer; it asks the collector nothing.
func New(ctx context.Context, o Options) (*Tracer, error) {
	about, err := resource.New(ctx, resource.WithSchemaURL(semconv.SchemaURL), resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(serviceName), semconv.ServiceVersion(o.Version), semconv.DeploymentEnvironmentNameKey.String(o.Place.Environment)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read what describes this controller (OTEL_RESOURCE_ATTRIBUTES): %w", err)
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(o.URL)}
	if o.Client != nil {
		options = append(options, otlptracehttp.WithHTTPClient(o.Client))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare to tell traces: %w", err)
	}
	return &Tracer{place: o.Place, log: o.Log, metrics: newMetrics(o.Registry, o.Place.Environment), queue: make(chan rollout.Entry, queueMax),
		draw: newDrawer(o.Version, sdktrace.WithResource(about)), exporter: exporter}, nil
}

// Ended takes a rollout that ended and was saved.
func (t *Tracer) Ended(e rollout.Entry) {
	select {
	case t.queue <- e:
	default:
		t.metrics.dropped.Inc()
	}
}

// Run tells until ctx ends, and then for at most flushFor what is left. history is asked what a revert puts right.
func (t *Tracer) Run(ctx context.Context, history History) {
	var left []sdktrace.ReadOnlySpan
	for ctx.Err() == nil && len(left) == 0 {
		select {
		case e := <-t.queue:
			left = t.tell(ctx, t.spans(ctx, history, t.more(batchMax, e)))
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushFor)
	defer cancel()
	left = append(left, t.spans(last, history, t.more(queueMax))...)
	t.drop(t.tell(last, left), errors.New("the controller ends"))
	_ = t.exporter.Shutdown(last) // sends nothing
}

// more are the rollouts that wait, behind those given, at most so many.
func (t *Tracer) more(most int, batch ...rollout.Entry) []rollout.Entry {
	for len(batch) < most {
		select {
		case e := <-t.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

func (t *Tracer) spans(ctx context.Context, history History, batch []rollout.Entry) []sdktrace.ReadOnlySpan {
	var out []sdktrace.ReadOnlySpan
	for _, e := range batch {
		out = append(out, t.draw.record(TraceID(t.place.Environment, e), spansOf(t.place, e, failed(ctx, history, e)))...)
	}
	return out
}

// failed is the rollout whose failure this one puts right; nil where there is none, or it cannot be read.
func failed(ctx context.Context, history History, e rollout.Entry) *rollout.Entry {
	if e.Kind != rollout.KindRevert && e.Kind != rollout.KindUndo {
		return nil
	}
	entries, err := history(ctx, e.Service, historyFew)
	if err != nil {
		return nil // the trace is worth telling without its link
	}
	for i := range entries {
		if entries[i].Number == e.Number-1 {
			return &entries[i]
		}
	}
	return nil
}

// historyFew is how far back a rollout is looked for that another one has followed already.
const historyFew = 10

// tell sends spans, and tries again for as long as the collector cannot be reached. It answers what is left because ctx has ended.
func (t *Tracer) tell(ctx context.Context, spans []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	if len(spans) == 0 {
		return nil
	}
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(firstRetry), backoff.WithMaxInterval(longRetry), backoff.WithMaxElapsedTime(keepFor))
	for {
		err := t.exporter.ExportSpans(ctx, spans)
		if err == nil {
			t.metrics.sent.Add(float64(roots(spans)))
			t.well()
			return nil
		}
		if ctx.Err() != nil {
			return spans
		}
		next := wait.NextBackOff()
		if next == backoff.Stop || !unreached(err) {
			t.drop(spans, err)
			return nil
		}
		t.ill(err)
		select {
		case <-ctx.Done():
		case <-time.After(next):
		}
	}
}

// unreached reports whether the collector never answered. What it answers has been tried again by the exporter already, where that
// is of use.
func unreached(err error) bool {
	var u *url.Error
	return errors.As(err, &u)
}

func (t *Tracer) drop(spans []sdktrace.ReadOnlySpan, why error) {
	if n := roots(spans); n > 0 {
		t.metrics.dropped.Add(float64(n))
		t.log.Error("traces are dropped", zap.Int("rollouts", n), zap.Error(why))
	}
}

func (t *Tracer) ill(err error) {
	if !t.failing {
		t.log.Warn("the collector cannot be reached; traces are told later", zap.Error(err))
	}
	t.failing = true
}

func (t *Tracer) well() {
	if t.failing {
		t.log.Info("the collector can be reached again")
	}
	t.failing = false
}

// roots are how many rollouts the spans are of.
func roots(spans []sdktrace.ReadOnlySpan) int {
	n := 0
	for _, s := range spans {
		if !s.Parent().IsValid() {
			n++
		}
	}
	return n
}
