package notify

import "github.com/prometheus/client_golang/prometheus"

// The results of deploy_notifications_total.
const (
	resultDelivered = "delivered" // taken by its receiver
	resultRetried   = "retried"   // not taken, and sent again later
	resultRefused   = "refused"   // given up: the receiver will never take it
	resultExpired   = "expired"   // given up: it became too old
)

type metrics struct {
	sent    *prometheus.CounterVec
	failing *prometheus.GaugeVec
	waiting *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer, environment string, receivers []string) *metrics {
	labels := prometheus.Labels{"environment": environment}
	m := &metrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deploy_notifications_total", ConstLabels: labels,
			Help: "Attempts to send a message to a receiver, by what became of them."}, []string{"receiver", "result"}),
		failing: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "deploy_notifications_failing", ConstLabels: labels,
			Help: "1 while the last attempt to send something to the receiver failed."}, []string{"receiver"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "deploy_notifications_waiting", ConstLabels: labels,
			Help: "Services that the receiver is yet to be told something of."}, []string{"receiver"}),
	}
	for _, r := range receivers {
		for _, result := range []string{resultDelivered, resultRetried, resultRefused, resultExpired} {
			m.sent.WithLabelValues(r, result)
		}
		m.failing.WithLabelValues(r)
		m.waiting.WithLabelValues(r)
	}
	if reg != nil {
		reg.MustRegister(m.sent, m.failing, m.waiting)
	}
	return m
}
