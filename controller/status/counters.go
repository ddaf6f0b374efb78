package status

import (
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// counters count by service and by a closed set of other labels. Each combination is shown from the beginning, at zero, and costs
// nothing until something is counted: with a counter of the client's for each, the zeros of ten thousand services would be most of
// the controller's memory.
type counters struct {
	desc   *prometheus.Desc
	combos [][]string // values of the labels after service

	shown *names

	mu       sync.Mutex
	services map[string][]float64 // by combination; missing while all are zero
}

// names are the services that counters show, kept once for all of them.
type names struct {
	mu       sync.Mutex
	services map[string]struct{}
}

// know shows a service, at zero unless it was counted.
func (n *names) know(service string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.services[service] = struct{}{}
}

func (n *names) forget(service string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.services, service)
}

func (n *names) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.services))
}

// newCounters are registered already. One combination without values is a counter by service alone.
func newCounters(reg prometheus.Registerer, shown *names, name, help string, labels []string, combos ...[]string) *counters {
	c := &counters{
		desc:   prometheus.NewDesc(name, help, append([]string{"service"}, labels...), nil),
		combos: combos, shown: shown, services: map[string][]float64{},
	}
	reg.MustRegister(c)
	return c
}

// forget takes a service away.
func (c *counters) forget(service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.services, service)
}

// inc counts one. Values outside of the closed set are a mistake of the program's, and are shown from then on.
func (c *counters) inc(service string, values ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.combos, func(of []string) bool { return slices.Equal(of, values) })
	if i < 0 {
		i, c.combos = len(c.combos), append(c.combos, values)
	}
	n := c.services[service]
	for len(n) <= i {
		n = append(n, 0)
	}
	n[i]++
	c.services[service] = n
}

func (c *counters) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

func (c *counters) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	services, combos := maps.Clone(c.services), slices.Clone(c.combos)
	for s, n := range services {
		services[s] = slices.Clone(n)
	}
	c.mu.Unlock()
	for _, service := range c.shown.all() {
		n := services[service]
		for i, values := range combos {
			v := 0.0
			if i < len(n) {
				v = n[i]
			}
			to <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, v, append([]string{service}, values...)...)
		}
	}
}
