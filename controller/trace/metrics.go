package trace

import "github.com/prometheus/client_golang/prometheus"

// metrics are the series of deploy_traces_total.
type metrics struct {
	sent, dropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, environment string) metrics {
	traces := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deploy_traces_total", ConstLabels: prometheus.Labels{"environment": environment},
		Help: "Traces of rollouts that ended, by whether the collector has taken them or they were dropped."}, []string{"result"})
	if reg != nil {
		reg.MustRegister(traces)
	}
	return metrics{sent: traces.WithLabelValues("delivered"), dropped: traces.WithLabelValues("dropped")}
}
