package trace

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// drawer makes the SDK's spans, with ids that are given. It is for one goroutine.
type drawer struct {
	tracer trace.Tracer
	drawn  *drawn
}

func newDrawer(version string, options ...sdktrace.TracerProviderOption) drawer {
	d := drawer{drawn: &drawn{}}
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithIDGenerator(given{}), sdktrace.WithSpanProcessor(d.drawn))...)
	d.tracer = provider.Tracer("github.com/canteen/deploy/controller/trace", trace.WithInstrumentationVersion(version), trace.WithSchemaURL(semconv.SchemaURL))
	return d
}

// record makes one trace, the first of spans its root; nothing where the sampler leaves it out.
func (d drawer) record(id trace.TraceID, spans []span) []sdktrace.ReadOnlySpan {
	d.drawn.spans = nil
	ctx, root := d.start(context.Background(), id, spans[0], trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer))
	for _, s := range spans[1:] {
		_, child := d.start(ctx, id, s)
		finish(child, s)
	}
	finish(root, spans[0])
	return d.drawn.spans
}

func (d drawer) start(ctx context.Context, id trace.TraceID, s span, more ...trace.SpanStartOption) (context.Context, trace.Span) {
	return d.tracer.Start(context.WithValue(ctx, givenKey{}, ids{id, s.id}), s.name,
		append(more, trace.WithTimestamp(s.from), trace.WithAttributes(s.attributes...), trace.WithLinks(s.links...))...)
}

func finish(to trace.Span, s span) {
	for _, e := range s.events {
		to.AddEvent(e.name, trace.WithTimestamp(e.at), trace.WithAttributes(e.attributes...))
	}
	switch {
	case s.failed != "":
		to.SetStatus(codes.Error, s.failed)
	case s.well:
		to.SetStatus(codes.Ok, "")
	}
	to.End(trace.WithTimestamp(s.to))
}

// given takes the ids of spans from their context.
type given struct{}

type givenKey struct{}

type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

// NewIDs implements sdktrace.IDGenerator.
func (given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	i := ctx.Value(givenKey{}).(ids)
	return i.trace, i.span
}

// NewSpanID implements sdktrace.IDGenerator.
func (given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	return ctx.Value(givenKey{}).(ids).span
}

// drawn keeps the spans that ended.
type drawn struct {
	spans []sdktrace.ReadOnlySpan
}

// OnStart implements sdktrace.SpanProcessor.
func (*drawn) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (d *drawn) OnEnd(s sdktrace.ReadOnlySpan) { d.spans = append(d.spans, s) }

// Shutdown implements sdktrace.SpanProcessor.
func (*drawn) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (*drawn) ForceFlush(context.Context) error { return nil }
