package web

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	shed     prometheus.Counter
	created  prometheus.Counter
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orders_http_requests_total",
			Help: "Requests answered, by method, route and status."}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "orders_http_request_duration_seconds",
			Help:    "Time from the request's headers to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "orders_http_requests_in_flight",
			Help: "Requests being worked on."}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_http_requests_shed_total",
			Help: "Requests refused because too many were being worked on."}),
		created: prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_created_total",
			Help: "Orders placed; a repeat of an idempotency key is not one."}),
	}
	r.MustRegister(m.requests, m.duration, m.inFlight, m.shed, m.created)
	return m
}
