package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// traces is a collector on the wire. It keeps the commits of deploys.
type traces struct {
	*httptest.Server
	mu      sync.Mutex
	commits []string
}

func newTraces(t *testing.T) *traces {
	t.Helper()
	c := &traces{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m collector.ExportTraceServiceRequest
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &m)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range m.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				for _, s := range scope.Spans {
					for _, a := range s.Attributes {
						if s.Name == "deploy orders" && a.Key == "vcs.ref.head.revision" {
							c.commits = append(c.commits, a.Value.GetStringValue())
						}
					}
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// await waits until deploys of exactly these commits were told.
func (c *traces) await(t *testing.T, commits ...string) {
	t.Helper()
	var got []string
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		c.mu.Lock()
		got = slices.Clone(c.commits)
		c.mu.Unlock()
		if len(got) >= len(commits) || time.Now().After(until) {
			break
		}
	}
	if !slices.Equal(got, commits) {
		t.Errorf("deploys of %v were told, want %v", got, commits)
	}
}
