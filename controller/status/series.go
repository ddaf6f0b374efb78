package status

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
)

// family is one metric of the services: many series, each with its service. Those of ten thousand services, all at once, would be three
// times the memory of everything else, so that they are no part of the registry: a scrape visits them in parts (Visit).
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string // service first
	desc       *prometheus.Desc
	each       func(Snapshot, adder)
}

// adder takes one value and the values of the family's labels.
type adder func(value float64, labels values)

// values are those of a family's labels, service first. A list would be made anew for each of many series.
type values [5]string

// families are the metrics of services. What is true now is read off the snapshot, so that a removed service leaves nothing behind.
func families(b *Board) []family {
	var all []family
	add := func(name, help string, kind prometheus.ValueType, each func(Snapshot, adder), labels ...string) {
		labels = append([]string{"service"}, labels...)
		all = append(all, family{name, help, kind, labels, prometheus.NewDesc(name, help, labels, prometheus.Labels{"environment": b.env}), each})
	}
	gauge := func(name, help string, of func(*View, adder), labels ...string) {
		add("deploy_service_"+name, help, prometheus.GaugeValue, func(s Snapshot, add adder) {
			for _, v := range s.Services {
				of(v, add)
			}
		}, labels...)
	}
	flag := func(name, help string, is func(*View) bool) {
		gauge(name, help, func(v *View, add adder) { add(number(is(v)), values{v.Record.Service}) })
	}
	// A time that never was is left out: 0 would read as 1970 and set off every alert on age.
	moment := func(name, help string, at func(*View) time.Time) {
		gauge(name, help, func(v *View, add adder) {
			if t := at(v); !t.IsZero() {
				add(float64(t.UnixNano())/1e9, values{v.Record.Service})
			}
		})
	}
	gauge("info", "Where the service lives and whose it is.", func(v *View, add adder) {
		region, account, cluster := v.identity()
		add(1, values{v.Record.Service, cluster, region, account, team(v)})
	}, "ecs_cluster", "region", "account", "team")
	gauge("phase", "1 for the phase that the service is in; no other one is told.", func(v *View, add adder) { add(1, values{v.Record.Service, string(v.Status.Phase)}) }, "phase")
	flag("ready", "Whether what git asks runs and is healthy.", isTrue(condition.Ready))
	flag("synced", "Whether what git asks is what runs.", isTrue(condition.Synced))
	flag("healthy", "Whether the service is healthy, whatever runs.", isTrue(condition.Healthy))
	flag("stalled", "Whether a person or a new commit is needed.", isTrue(condition.Stalled))
	flag("suspended", "Whether nothing new is started.", isTrue(condition.Suspended))
	flag("drifted", "Whether a deployment was found that git did not ask for.", isTrue(condition.Drifted))
	flag("reverted", "Whether the last good revision runs because what git asks was rejected.", isReverted)
	moment("phase_start_timestamp_seconds", "When the present phase began.", func(v *View) time.Time { return v.Status.Since })
	moment("last_deploy_timestamp_seconds", "When the newest verdict on a change was given, whatever it was.", func(v *View) time.Time { return lastVerdict(v.Record) })
	moment("last_good_timestamp_seconds", "When the last good revision was found good.", lastGood)
	moment("suspend_expiry_timestamp_seconds", "Until when git suspends the service.", suspendedUntil)
	gauge("tasks", "Tasks of the service.", func(v *View, add adder) {
		wanted, running, pending := v.tasks()
		add(float64(wanted), values{v.Record.Service, "desired"})
		add(float64(running), values{v.Record.Service, "running"})
		add(float64(pending), values{v.Record.Service, "pending"})
	}, "state")
	for _, c := range b.metrics.byService() {
		add(c.name, c.help, prometheus.CounterValue, func(_ Snapshot, add adder) { c.each(add) }, c.labels...)
	}
	return all
}

// Describe implements prometheus.Collector, for the metrics of services, which New does not register.
func (b *Board) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range b.families {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector. Where there are many services, Visit takes much less memory.
func (b *Board) Collect(ch chan<- prometheus.Metric) {
	snap := b.Snapshot()
	for _, f := range b.families {
		f.each(snap, func(value float64, labels values) {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels[:len(f.labels)]...)
		})
	}
}

func team(v *View) string {
	if in := v.Record.Intent; in != nil {
		return in.Service.Metadata.Labels["team"]
	}
	return ""
}

func suspendedUntil(v *View) time.Time {
	if in := v.Record.Intent; in != nil && in.Service.Spec.Suspend != nil {
		return in.Service.Spec.Suspend.Until
	}
	return time.Time{}
}

func lastGood(v *View) time.Time {
	if g := v.Record.Good; g != nil {
		return g.At
	}
	return time.Time{}
}

// lastVerdict is when the newest verdict on a change was given. It is read off the record, so that it survives a restart;
// a rejection that was inferred from tags has no time of its own.
func lastVerdict(r rollout.Record) time.Time {
	var last time.Time
	later := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	if r.Good != nil {
		later(r.Good.At)
	}
	if len(r.Rejected) > 0 && !r.Rejected[0].Inferred {
		later(r.Rejected[0].At)
	}
	if r.Stalled != nil {
		later(r.Stalled.At)
	}
	return last
}

func isTrue(t condition.Type) func(*View) bool {
	return func(v *View) bool { return v.Status.Condition(t).Status == condition.True }
}

func isReverted(v *View) bool {
	return v.Record.State == rollout.StateReverted || v.Status.Phase == condition.PhaseReverted
}
