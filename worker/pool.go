package main

import (
	"github.com/canteen/deploy/worker/store"
	"github.com/prometheus/client_golang/prometheus"
)

// poolCollector shows the database connections as they are when somebody looks.
type poolCollector struct {
	orders                                *store.Store
	limit, inUse, idle, waits, waitedTime *prometheus.Desc
}

func newPoolCollector(orders *store.Store) poolCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("orders_db_"+name, help, nil, nil)
	}
	return poolCollector{orders: orders,
		limit:      desc("connections_max", "Database connections that may serve orders at once."),
		inUse:      desc("connections_in_use", "Database connections that are in use."),
		idle:       desc("connections_idle", "Database connections that are open and not in use."),
		waits:      desc("waits_total", "How often a request waited for a connection."),
		waitedTime: desc("wait_seconds_total", "How long requests waited for connections."),
	}
}

// Describe is prometheus.Collector's.
func (c poolCollector) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// Collect is prometheus.Collector's.
func (c poolCollector) Collect(to chan<- prometheus.Metric) {
	s := c.orders.Stats()
	to <- prometheus.MustNewConstMetric(c.limit, prometheus.GaugeValue, float64(s.Max))
	to <- prometheus.MustNewConstMetric(c.inUse, prometheus.GaugeValue, float64(s.InUse))
	to <- prometheus.MustNewConstMetric(c.idle, prometheus.GaugeValue, float64(s.Idle))
	to <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, float64(s.Waits))
	to <- prometheus.MustNewConstMetric(c.waitedTime, prometheus.CounterValue, s.WaitSeconds)
}
