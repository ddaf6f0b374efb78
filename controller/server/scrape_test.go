package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"

	"github.com/canteen/deploy/controller/rollout"
)

// crowded is a house with more services than fit into one part of a family.
func crowded(t *testing.T, n int) *house {
	t.Helper()
	h := newHouse(t)
	for i := range n {
		v := reverted()
		v.Record.Service = fmt.Sprintf("s%05d", i)
		h.board.Publish(v)
	}
	h.board.Finished(rollout.Entry{Service: "s00300", Number: 1, Kind: rollout.KindRevert, Result: rollout.ResultReverted})
	return h
}

func scrape(h http.Handler, header http.Header, to http.ResponseWriter) {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header = header
	h.ServeHTTP(to, r)
}

// What is told in parts is what a registry would have told in one: each family once, with all of its series.
func TestScrapeTellsEachFamilyOnce(t *testing.T) {
	h := crowded(t, 600)
	w := httptest.NewRecorder()
	scrape(h, http.Header{}, w)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	have, err := parser.TextToMetricFamilies(w.Body) // a second head of one family is an error
	if err != nil {
		t.Fatal(err)
	}
	services := prometheus.NewPedanticRegistry()
	services.MustRegister(h.board)
	want, err := services.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 15 {
		t.Fatalf("only %d families", len(want))
	}
	for _, f := range want {
		sorted := func(f *dto.MetricFamily) *dto.MetricFamily {
			slices.SortFunc(f.GetMetric(), func(a, b *dto.Metric) int { return strings.Compare(fmt.Sprint(a.GetLabel()), fmt.Sprint(b.GetLabel())) })
			return f
		}
		got := have[f.GetName()]
		if got == nil || !proto.Equal(sorted(got), sorted(f)) {
			t.Errorf("%s has %d series, a registry %d, or others", f.GetName(), len(got.GetMetric()), len(f.GetMetric()))
		}
	}
	if have["deploy_build_info"] == nil || have["deploy_queue_depth"] != nil {
		t.Error("what is of no service is told by the registry, and nothing else is")
	}
}

// OpenMetrics, which Prometheus asks for, ends with a line of its own, and what is compressed is the same.
func TestScrapeSpeaksOpenMetrics(t *testing.T) {
	h := crowded(t, 600)
	asks := http.Header{"Accept": {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5"}}
	plain := httptest.NewRecorder()
	scrape(h, asks, plain)
	if kind := plain.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") {
		t.Errorf("it is %s", kind)
	}
	heads := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(plain.Body.Bytes())); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			heads[lines.Text()]++
		}
	}
	for head, n := range heads {
		if n != 1 {
			t.Errorf("%d times %s", n, head)
		}
	}
	if !strings.HasSuffix(plain.Body.String(), "\n# EOF\n") {
		t.Error("it does not end as it must")
	}
	asks.Set("Accept-Encoding", "deflate, gzip")
	packed := httptest.NewRecorder()
	scrape(h, asks, packed)
	if packed.Header().Get("Content-Encoding") != "gzip" || packed.Body.Len() > plain.Body.Len()/5 {
		t.Errorf("%d bytes of %s, %d without", packed.Body.Len(), packed.Header().Get("Content-Encoding"), plain.Body.Len())
	}
	unpack, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpack)
	if err != nil {
		t.Fatal(err)
	}
	counted := regexp.MustCompile(`(?m)^deploy_reverts_total\{cause="\w+",environment="dev",service="s00300"\} 1\.0$`)
	if !counted.Match(text) || !bytes.HasSuffix(text, []byte("\n# EOF\n")) {
		t.Errorf("%d bytes that are other ones", len(text))
	}
	asks.Set("Accept-Encoding", "gzip;q=0, identity")
	refused := httptest.NewRecorder()
	if scrape(h, asks, refused); refused.Header().Get("Content-Encoding") != "" {
		t.Error("it is compressed for one who does not want that")
	}
}

// nowhere takes an answer and keeps nothing of it.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header              { return n.header }
func (nowhere) WriteHeader(int)                    {}
func (nowhere) Write(text []byte) (n int, e error) { return len(text), nil }

// scrapeMax is how many bytes a scrape may take in passing for each service. Forty-odd series of it, all at once, would be 25,000.
const scrapeMax = 3000

// A scrape takes little memory, however many services there are.
func TestScrapeTakesLittleMemory(t *testing.T) {
	const services = 1000
	h := crowded(t, services)
	scrape(h, http.Header{}, nowhere{http.Header{}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	scrape(h, http.Header{}, nowhere{http.Header{}})
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / services; took > scrapeMax {
		t.Errorf("%d bytes for each service, at most %d are expected", took, scrapeMax)
	}
}

// A client that is gone is written to no more.
func TestScrapeEndsWithItsClient(t *testing.T) {
	h := crowded(t, 600)
	gone := &leaving{nowhere{http.Header{}}, 3}
	defer func() {
		if recover() != http.ErrAbortHandler || gone.left != 0 {
			t.Errorf("%d writes were left", gone.left)
		}
	}()
	scrape(h, http.Header{}, gone)
}

// leaving goes after so many writes; another one is a mistake.
type leaving struct {
	nowhere
	left int
}

func (l *leaving) Write(text []byte) (int, error) {
	if l.left--; l.left <= 0 {
		return 0, io.ErrClosedPipe
	}
	return len(text), nil
}
