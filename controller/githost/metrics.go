package githost

import "github.com/prometheus/client_golang/prometheus"

// register shows how much the host is yet to be told, and how often telling it went wrong in ways that nobody foresaw. Both are
// there from the start.
func (s *Speaker) register(reg prometheus.Registerer) {
	s.panics = prometheus.NewCounter(prometheus.CounterOpts{Name: "deploy_githost_panics_total",
		Help: "Panics while the git host was told something; what it was about is told again later."})
	pending := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "deploy_githost_pending",
		Help: "Services that the git host is yet to be told something of; 0 in a controller that does not act."}, func() float64 { return float64(s.pending()) })
	if reg != nil {
		reg.MustRegister(s.panics, pending)
	}
}

// pending counts what waits, what is being told included.
func (s *Speaker) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.due)
	if _, again := s.due[s.telling]; s.telling != "" && !again {
		n++
	}
	return n
}
