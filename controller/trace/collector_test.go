package trace

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector on the wire.
type receiver struct {
	*httptest.Server
	t        *testing.T
	mu       sync.Mutex
	answers  []int // of the next requests; then 200
	headers  []http.Header
	requests []*collector.ExportTraceServiceRequest // that were taken
}

func newCollector(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path != "/v1/traces" || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/x-protobuf" {
		r.t.Errorf("%s %s of %q", req.Method, req.URL, req.Header.Get("Content-Type"))
	}
	if len(r.answers) > 0 {
		code := r.answers[0]
		r.answers = r.answers[1:]
		switch code {
		case 0:
			panic(http.ErrAbortHandler) // the connection breaks
		case http.StatusOK:
		default:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(code)
			return
		}
	}
	var from io.Reader = req.Body
	if req.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(req.Body)
		if err != nil {
			r.t.Error(err)
		}
		from = unzipped
	}
	body, err := io.ReadAll(from)
	m := &collector.ExportTraceServiceRequest{}
	if err == nil {
		err = proto.Unmarshal(body, m)
	}
	if err != nil {
		r.t.Errorf("what came is no request of OTLP: %v", err)
	}
	r.headers, r.requests = append(r.headers, req.Header), append(r.requests, m)
}

// spans are those that were taken so far.
func (r *receiver) spans() []*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*otlp.Span
	for _, m := range r.requests {
		for _, of := range m.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				out = append(out, scope.Spans...)
			}
		}
	}
	return out
}

// await waits until so many rollouts were told, and answers their spans.
func (r *receiver) await(rollouts int) []*otlp.Span {
	r.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		spans := r.spans()
		n := 0
		for _, s := range spans {
			if len(s.ParentSpanId) == 0 {
				n++
			}
		}
		if n >= rollouts {
			return spans
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d rollouts were told, want %d", n, rollouts)
		}
	}
}

// written is what a person reads of spans: each trace from its root on, with times from the root's beginning.
func written(spans []*otlp.Span) string {
	var out strings.Builder
	for _, root := range spans {
		if len(root.ParentSpanId) > 0 {
			continue
		}
		fmt.Fprintf(&out, "trace %x\n", root.TraceId)
		of := []*otlp.Span{root}
		for _, s := range spans {
			if string(s.TraceId) == string(root.TraceId) && string(s.ParentSpanId) == string(root.SpanId) {
				of = append(of, s)
			}
		}
		for i, s := range of {
			indent := strings.Repeat("  ", min(i, 1))
			fmt.Fprintf(&out, "%s%s  %s to %s  %s %s\n", indent, s.Name, since(root, s.StartTimeUnixNano), since(root, s.EndTimeUnixNano), short(s.Kind.String(), "SPAN_KIND_"), short(s.Status.GetCode().String(), "STATUS_CODE_"))
			if m := s.Status.GetMessage(); m != "" {
				fmt.Fprintf(&out, "%s    status: %s\n", indent, m)
			}
			for _, line := range attributes(s.Attributes) {
				fmt.Fprintf(&out, "%s    %s\n", indent, line)
			}
			for _, e := range s.Events {
				fmt.Fprintf(&out, "%s    event %q at %s: %s\n", indent, e.Name, since(root, e.TimeUnixNano), strings.Join(attributes(e.Attributes), ", "))
			}
			for _, l := range s.Links {
				fmt.Fprintf(&out, "%s    link to %x %x: %s\n", indent, l.TraceId, l.SpanId, strings.Join(attributes(l.Attributes), ", "))
			}
		}
	}
	return out.String()
}

func since(root *otlp.Span, at uint64) time.Duration {
	return time.Duration(at - root.StartTimeUnixNano)
}

func short(word, prefix string) string { return strings.ToLower(strings.TrimPrefix(word, prefix)) }

func attributes(all []*common.KeyValue) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.Key+" = "+value(a.Value))
	}
	slices.Sort(out)
	return out
}

func value(v *common.AnyValue) string {
	if list := v.GetArrayValue(); list != nil {
		var out []string
		for _, each := range list.Values {
			out = append(out, value(each))
		}
		return "[" + strings.Join(out, " ") + "]"
	}
	if s, ok := v.Value.(*common.AnyValue_StringValue); ok {
		return s.StringValue
	}
	return fmt.Sprint(v.GetIntValue())
}
