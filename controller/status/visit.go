package status

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// partMax is how many series one part of a family has.
const partMax = 256

// Visit shows the metrics of services to visit, family by family, each in parts that follow upon each other and differ in their series
// alone. What is shown is used again for the next part: it must not be kept. It ends at visit's first error, and returns that.
func (b *Board) Visit(visit func(*dto.MetricFamily) error) error {
	snap := b.Snapshot()
	var all [partMax]serie
	p := part{series: all[:], visit: visit}
	for i := range p.series {
		p.list[i] = &p.series[i].metric
	}
	for _, f := range b.families {
		p.begin(f, b.env)
		f.each(snap, p.add)
		p.show()
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// part is the part of a family that is being filled.
type part struct {
	family dto.MetricFamily
	series []serie
	list   [partMax]*dto.Metric
	n      int
	at     []int // by label of the family's: its place among all labels in order of name
	visit  func(*dto.MetricFamily) error
	err    error
}

// serie is the memory of one series, which is filled again and again.
type serie struct {
	metric  dto.Metric
	gauge   dto.Gauge
	counter dto.Counter
	value   float64
	pairs   []*dto.LabelPair
	words   []string // values of the pairs
}

// begin makes room for the series of a family. The labels are in order of name, as a registry has them.
func (p *part) begin(f family, env string) {
	names := append([]string{"environment"}, f.labels...)
	slices.SortFunc(names, strings.Compare)
	p.at = p.at[:0]
	for _, label := range f.labels {
		p.at = append(p.at, slices.Index(names, label))
	}
	kind := dto.MetricType_GAUGE
	if f.kind == prometheus.CounterValue {
		kind = dto.MetricType_COUNTER
	}
	p.family.Name, p.family.Help, p.family.Type = &f.name, &f.help, &kind
	environment := slices.Index(names, "environment")
	for i := range p.series {
		s := &p.series[i]
		s.words = slices.Grow(s.words[:0], len(names))[:len(names)]
		s.words[environment] = env
		for len(s.pairs) < len(names) {
			s.pairs = append(s.pairs, &dto.LabelPair{})
		}
		for j := range names {
			s.pairs[j].Name, s.pairs[j].Value = &names[j], &s.words[j]
		}
		s.metric.Label, s.metric.Gauge, s.metric.Counter = s.pairs[:len(names)], nil, nil
		s.gauge.Value, s.counter.Value = &s.value, &s.value
		if kind == dto.MetricType_COUNTER {
			s.metric.Counter = &s.counter
		} else {
			s.metric.Gauge = &s.gauge
		}
	}
}

func (p *part) add(value float64, labels values) {
	if p.err != nil {
		return
	}
	s := &p.series[p.n]
	s.value = value
	for i, at := range p.at {
		s.words[at] = labels[i]
	}
	if p.n++; p.n == partMax {
		p.show()
	}
}

// show shows what there is of the family.
func (p *part) show() {
	if p.n == 0 || p.err != nil {
		return
	}
	p.family.Metric = p.list[:p.n]
	p.n, p.err = 0, p.visit(&p.family)
}
