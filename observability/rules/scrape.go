package rules

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Told is what a controller tells: of each name of a series its labels, and of those the values, sorted; the bounds of buckets in the order
// of numbers.
type Told map[string]map[string][]string

// Scraped reads an answer of /metrics in the text format.
func Scraped(body io.Reader) (Told, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(body)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	out := Told{}
	for _, f := range families {
		out.Add(f)
	}
	return out, nil
}

// Add adds a metric, with the names that its series have.
func (t Told) Add(f *dto.MetricFamily) {
	names := []string{f.GetName()}
	if f.GetType() == dto.MetricType_HISTOGRAM {
		names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
	}
	for _, n := range names {
		labels := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		for l := range labels {
			slices.Sort(labels[l])
			labels[l] = slices.Compact(labels[l])
		}
		t[n] = labels
	}
	if f.GetType() == dto.MetricType_HISTOGRAM && len(f.GetMetric()) > 0 {
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			if !math.IsInf(b.GetUpperBound(), 1) { // is in the text alone
				t[names[0]]["le"] = append(t[names[0]]["le"], strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
			}
		}
	}
}

// Lacks names what the rules ask for and is not told: metrics, labels and, where values is so, values of labels. What a rule records is
// told to those after it.
func (t Told) Lacks(all []Rule, values bool) (lacks []string, selectors int, err error) {
	recorded := map[string][]string{} // name → labels
	for _, r := range all {
		asked, err := Parse(r.Expr)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", r.Name(), err)
		}
		have := append([]string{"job", "instance"}, asked.Made...) // those that Prometheus adds
		for _, s := range asked.Selectors {
			selectors++
			labels, there := t[s.Metric]
			of, made := recorded[s.Metric]
			if !there && !made {
				lacks = append(lacks, fmt.Sprintf("%s asks for %s", r.Name(), s.Metric))
				continue
			}
			have = append(have, of...)
			for l := range labels {
				have = append(have, l)
			}
			for l, wanted := range s.Labels {
				has, labelled := labels[l]
				if made && slices.Contains(of, l) || labelled && !values {
					continue
				}
				for _, v := range wanted {
					if !slices.Contains(has, v) {
						lacks = append(lacks, fmt.Sprintf("%s asks for %s{%s=%q}", r.Name(), s.Metric, l, v))
					}
				}
			}
		}
		for _, l := range asked.By {
			if !slices.Contains(have, l) {
				lacks = append(lacks, fmt.Sprintf("%s groups by %s, which none of its metrics has", r.Name(), l))
			}
		}
		if r.Record != "" {
			recorded[r.Record] = have
			if len(asked.By) > 0 {
				recorded[r.Record] = asked.By
			}
		}
	}
	return lacks, selectors, nil
}
