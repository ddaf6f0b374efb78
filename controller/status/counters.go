package status

import (
	"maps"
	"slices"
	"sync"
)

// counters count by service and by a closed set of other labels. Each combination is shown from the beginning, at zero, and costs
// nothing until something is counted: with a counter of the client's for each, the zeros of ten thousand services would be most of
// the controller's memory.
type counters struct {
	name, help string
	labels     []string   // after service
	combos     [][]string // values of these labels

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

// all are the services in order of name.
func (n *names) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.services))
}

// newCounters show nothing yet. One combination without values is a counter by service alone.
func newCounters(shown *names, name, help string, labels []string, combos ...[]string) *counters {
	return &counters{name: name, help: help, labels: labels, combos: combos, shown: shown, services: map[string][]float64{}}
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

// each adds every combination of every service.
func (c *counters) each(add adder) {
	c.mu.Lock()
	combos := slices.Clone(c.combos)
	c.mu.Unlock()
	var labels values
	n := make([]float64, len(combos))
	for _, service := range c.shown.all() {
		labels[0] = service
		c.read(service, n)
		for i, combo := range combos {
			copy(labels[1:], combo)
			add(n[i], labels)
		}
	}
}

// read fills in what was counted of a service.
func (c *counters) read(service string, into []float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(into)
	copy(into, c.services[service])
}
