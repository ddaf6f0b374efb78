package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/urgency"
)

// The codes are closed: AWS's own are an open set, and would each be a series for ever.
const (
	codeOK        = "ok"
	codeThrottled = "throttled"
	codeDenied    = "denied"
	codeClient    = "client_error"
	codeServer    = "server_error"
	codeTimeout   = "timeout"
	codeNetwork   = "network"
)

type metrics struct {
	requests  *prometheus.CounterVec
	throttles *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	wait      *prometheus.HistogramVec
}

// newMetrics sets every series to zero, so that a rate over the first occurrence of an error is not empty.
func newMetrics(to prometheus.Registerer, calls map[string]map[string]call, buckets map[string]*turns) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deploy_aws_requests_total", Help: "Requests sent to AWS, retries included, by what came of them.",
		}, []string{"service", "operation", "code"}),
		throttles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deploy_aws_throttles_total", Help: "Requests that AWS refused because of its request rate.",
		}, []string{"service", "operation"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "deploy_aws_request_duration_seconds", Help: "Time from sending one request to its whole answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"service"}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "deploy_rate_limiter_wait_seconds", Help: "Time that a request waited for the controller's own budget.",
			Buckets: []float64{.001, .01, .1, .5, 1, 2.5, 5, 10, 15},
		}, []string{"urgency"}),
	}
	for _, class := range urgency.Classes() {
		m.wait.WithLabelValues(class.String())
	}
	for service, operations := range calls {
		m.duration.WithLabelValues(service)
		for operation := range operations {
			m.throttles.WithLabelValues(service, operation)
			for _, code := range []string{codeOK, codeThrottled, codeDenied, codeClient, codeServer, codeTimeout, codeNetwork} {
				m.requests.WithLabelValues(service, operation, code)
			}
		}
	}
	if to != nil {
		to.MustRegister(m.requests, m.throttles, m.duration, m.wait)
		for name, t := range buckets {
			to.MustRegister(
				prometheus.NewGaugeFunc(prometheus.GaugeOpts{
					Name: "deploy_aws_budget_requests_per_second", ConstLabels: prometheus.Labels{"budget": name},
					Help: "Requests a second that the controller allows itself now: less than its share for a while after AWS has throttled it.",
				}, func() float64 { perSecond, _ := t.state(); return perSecond }),
				prometheus.NewGaugeFunc(prometheus.GaugeOpts{
					Name: "deploy_aws_budget_waiting_requests", ConstLabels: prometheus.Labels{"budget": name},
					Help: "Requests that wait for their turn.",
				}, func() float64 { _, waiting := t.state(); return float64(waiting) }))
		}
	}
	return m
}

func (m *metrics) waited(class urgency.Class, d time.Duration) {
	m.wait.WithLabelValues(class.String()).Observe(d.Seconds())
}

// answered counts one answer and says which code it is of.
func (m *metrics) answered(service, operation string, d time.Duration, err error) string {
	code := codeOf(err)
	m.requests.WithLabelValues(service, operation, code).Inc()
	m.duration.WithLabelValues(service).Observe(d.Seconds())
	if code == codeThrottled {
		m.throttles.WithLabelValues(service, operation).Inc()
	}
	return code
}

func codeOf(err error) string {
	if err == nil {
		return codeOK
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch {
		case IsThrottle(api.ErrorCode()):
			return codeThrottled
		case IsDenied(api.ErrorCode()):
			return codeDenied
		case api.ErrorFault() == smithy.FaultServer || StatusOf(err) >= 500:
			return codeServer
		}
		return codeClient
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return codeTimeout
	}
	if StatusOf(err) >= 500 {
		return codeServer
	}
	return codeNetwork
}
