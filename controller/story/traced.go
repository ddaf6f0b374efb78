package story

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/trace"
)

// traces are the spans that a collector was told.
type traces struct {
	wrong error
	spans []*otlp.Span
}

func (c *traces) take(w http.ResponseWriter, r *http.Request, body []byte) {
	var m collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &m); err != nil || r.URL.Path != "/v1/traces" {
		c.wrong = errors.Join(c.wrong, err, fmt.Errorf("the collector was asked for %s", r.URL.Path))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, of := range m.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// roots are those of each rollout, in the order in which they came.
func (c *traces) roots() []*otlp.Span {
	var out []*otlp.Span
	for _, s := range c.spans {
		if len(s.ParentSpanId) == 0 {
			out = append(out, s)
		}
	}
	return out
}

func attributeOf(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// expectTraces waits until the collector was told exactly those rollouts, each with its kind, its service and how it ended.
func (t *Telling) expectTraces(list string) error {
	return t.Await(defaultLimit, func() error {
		t.ears.mu.Lock()
		defer t.ears.mu.Unlock()
		var got []string
		for _, s := range t.ears.traces.roots() {
			got = append(got, s.Name+" "+attributeOf(s, "deploy.result"))
		}
		if strings.Join(got, ", ") != list {
			return fmt.Errorf("the collector was told %q", got)
		}
		return nil
	})
}

// tracedWell holds what is true of all traces of a story: each is of one rollout in the history and was told once, from the commit to the
// verdict, its stages without a gap, and a revert is linked to what it puts right.
func (w *World) tracedWell() error {
	w.ears.mu.Lock()
	defer w.ears.mu.Unlock()
	err := w.ears.traces.wrong
	entries := map[string]rollout.Entry{}
	for _, service := range w.opts.Services {
		for _, e := range w.ended(service) {
			id := trace.TraceID("dev", e)
			entries[string(id[:])] = e
		}
	}
	seen := map[string]bool{}
	for _, root := range w.ears.traces.roots() {
		e, known := entries[string(root.TraceId)]
		if !known || seen[string(root.TraceId)] {
			err = errors.Join(err, fmt.Errorf("trace %x of %q is of no rollout, or was told twice", root.TraceId, root.Name))
			continue
		}
		seen[string(root.TraceId)] = true
		from := uint64(e.StartedAt.UnixNano())
		if e.Kind == rollout.KindDeploy && (e.Trigger == rollout.TriggerGit || e.Trigger == rollout.TriggerRetry) {
			from = uint64(e.Commit.At.UnixNano())
		}
		at := from
		for _, s := range w.ears.traces.spans {
			if string(s.ParentSpanId) != string(root.SpanId) {
				continue
			}
			if s.StartTimeUnixNano != at {
				err = errors.Join(err, fmt.Errorf("%s of %q begins at %d, and what was before it ended at %d", s.Name, root.Name, s.StartTimeUnixNano, at))
			}
			at = s.EndTimeUnixNano
		}
		if root.StartTimeUnixNano != from || root.EndTimeUnixNano != uint64(e.EndedAt.UnixNano()) || at != root.EndTimeUnixNano {
			err = errors.Join(err, fmt.Errorf("%q is from %d to %d, its stages until %d; the rollout was from %d to %d", root.Name, root.StartTimeUnixNano, root.EndTimeUnixNano, at, from, e.EndedAt.UnixNano()))
		}
		if back := e.Kind == rollout.KindRevert || e.Kind == rollout.KindUndo; back != (len(root.Links) == 1) {
			err = errors.Join(err, fmt.Errorf("%q has %d links", root.Name, len(root.Links)))
		} else if before, known := entries[string(linked(root))]; back && (!known || before.Number != e.Number-1) {
			err = errors.Join(err, fmt.Errorf("%q is linked to another rollout than the one that failed", root.Name))
		}
	}
	return err
}

func linked(s *otlp.Span) []byte {
	if len(s.Links) == 0 {
		return nil
	}
	return s.Links[0].TraceId
}
