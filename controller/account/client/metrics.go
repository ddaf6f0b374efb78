package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"
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
func newMetrics(to prometheus.Registerer, calls map[string]map[string]call) *metrics {
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
		}, []string{"service"}),
	}
	for service, operations := range calls {
		m.duration.WithLabelValues(service)
		m.wait.WithLabelValues(service)
		for operation := range operations {
			m.throttles.WithLabelValues(service, operation)
			for _, code := range []string{codeOK, codeThrottled, codeDenied, codeClient, codeServer, codeTimeout, codeNetwork} {
				m.requests.WithLabelValues(service, operation, code)
			}
		}
	}
	if to != nil {
		to.MustRegister(m.requests, m.throttles, m.duration, m.wait)
	}
	return m
}

func (m *metrics) waited(service string, d time.Duration) {
	m.wait.WithLabelValues(service).Observe(d.Seconds())
}

func (m *metrics) answered(service, operation string, d time.Duration, err error) {
	code := codeOf(err)
	m.requests.WithLabelValues(service, operation, code).Inc()
	m.duration.WithLabelValues(service).Observe(d.Seconds())
	if code == codeThrottled {
		m.throttles.WithLabelValues(service, operation).Inc()
	}
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
