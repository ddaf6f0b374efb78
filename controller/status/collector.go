package status

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
)

// collector reads what is true now of the whole environment off the board at each scrape; series does so of its services.
type collector struct {
	board *Board

	invalid, rejected, fetched, headCommit, depth, oldest *prometheus.Desc

	paused, resync, streams *prometheus.Desc

	held, fence, readAt *prometheus.Desc // where several controllers share a ledger
	writable            *prometheus.Desc // where the ledger is a file

	// where a queue of events is read
	events, eventsReadable, eventsRead, eventsLast, eventsBehind, eventsMissed, eventsSlow *prometheus.Desc
}

func newCollector(b *Board) *collector {
	here := prometheus.Labels{"environment": b.env}
	return &collector{
		board:      b,
		invalid:    prometheus.NewDesc("deploy_invalid_manifests", "Files of the environment that are invalid.", nil, here),
		rejected:   prometheus.NewDesc("deploy_rejected_revisions", "Asks that were rejected and are still remembered.", nil, here),
		fetched:    prometheus.NewDesc("deploy_git_last_success_timestamp_seconds", "When the repository was last fetched.", nil, nil),
		headCommit: prometheus.NewDesc("deploy_git_head_commit_timestamp_seconds", "When the newest commit was made.", nil, nil),
		depth:      prometheus.NewDesc("deploy_queue_depth", "Services that are due and wait for a worker.", nil, nil),
		oldest:     prometheus.NewDesc("deploy_queue_oldest_age_seconds", "How long the service that is due for longest has waited.", nil, nil),
		paused:     prometheus.NewDesc("deploy_paused_services", "Services for whose number nothing new is begun: that a mass change is about, or that the account suddenly lacks; 0 while there is no pause.", []string{"reason"}, here),
		resync:     prometheus.NewDesc("deploy_last_full_resync_timestamp_seconds", "Since when every service has been looked at: the oldest of their newest looks.", nil, here),
		streams:    prometheus.NewDesc("deploy_ui_sse_clients", "Open streams of events, of pages and of other clients.", nil, nil),
		held:       prometheus.NewDesc("deploy_lease_held", "Whether this is the controller that acts, of those that share the ledger.", nil, here),
		fence:      prometheus.NewDesc("deploy_lease_fencing_number", "The newest fencing number of the lease that was seen.", nil, here),
		writable:   prometheus.NewDesc("deploy_ledger_writable", "Whether the last write to the ledger reached its disk. While it does not, nothing is begun.", nil, nil),
		readAt:     prometheus.NewDesc("deploy_ledger_read_timestamp_seconds", "When a standby last read what the acting controller has saved.", nil, here),

		events:         prometheus.NewDesc("deploy_events_total", "Messages of the queue of events, by what they are about and what came of them.", []string{"kind", "outcome"}, here),
		eventsReadable: prometheus.NewDesc("deploy_events_readable", "Whether the newest request to the queue of events succeeded. Only of the controller that reads it.", nil, here),
		eventsRead:     prometheus.NewDesc("deploy_events_read_timestamp_seconds", "When the queue of events last answered.", nil, here),
		eventsLast:     prometheus.NewDesc("deploy_events_last_timestamp_seconds", "When the newest message of the queue of events was read.", nil, here),
		eventsBehind:   prometheus.NewDesc("deploy_events_oldest_age_seconds", "How long the oldest message of the queue's newest answer had waited.", nil, here),
		eventsMissed:   prometheus.NewDesc("deploy_events_missed_total", "Changes that were found by looking and that no event told.", nil, here),
		eventsSlow:     prometheus.NewDesc("deploy_events_slow_sweep", "Whether settled services are looked at less often, because events can be relied on.", nil, here),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.invalid, c.rejected, c.fetched, c.headCommit, c.depth, c.oldest, c.paused, c.resync, c.streams, c.held, c.fence, c.readAt, c.writable,
		c.events, c.eventsReadable, c.eventsRead, c.eventsLast, c.eventsBehind, c.eventsMissed, c.eventsSlow,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	snap := c.board.Snapshot()
	rejected := 0
	var oldest time.Time
	for _, v := range snap.Services {
		if at := v.at(); !at.IsZero() && v.Record.State != rollout.StateReleased && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
		rejected += len(v.Record.Rejected)
	}
	gauge(ch, c.rejected, float64(rejected))
	gauge(ch, c.invalid, float64(len(snap.Repo.Invalid)))
	timestamp(ch, c.resync, oldest)
	gauge(ch, c.streams, float64(c.board.listeners()))
	timestamp(ch, c.fetched, snap.Repo.FetchedAt)
	timestamp(ch, c.headCommit, snap.Repo.Head.At)
	if l := snap.Lease; l != nil {
		gauge(ch, c.held, number(l.Role == RoleLeader))
		gauge(ch, c.fence, float64(l.Fence))
		timestamp(ch, c.readAt, l.ReadAt)
	}
	if well := snap.LedgerWritten; well != nil {
		gauge(ch, c.writable, number(*well))
	}
	c.collectPause(ch)
	if e := snap.Events; e != nil {
		c.collectEvents(ch, *e)
	}
	if stats, ok := c.board.queueStats(); ok {
		gauge(ch, c.depth, float64(stats.Due))
		age := 0.0
		if !stats.Oldest.IsZero() {
			age = max(0, snap.At.Sub(stats.Oldest).Seconds())
		}
		gauge(ch, c.oldest, age)
	}
}

// collectPause asks outside the board's lock, as for the queue.
func (c *collector) collectPause(ch chan<- prometheus.Metric) {
	c.board.mu.Lock()
	ask := c.board.paused
	c.board.mu.Unlock()
	if ask == nil {
		return
	}
	p := ask()
	for _, reason := range []rollout.State{rollout.StateMassChange, rollout.StateManyMissing} {
		n := 0
		if p != nil && p.Reason == reason {
			n = p.Count
		}
		gauge(ch, c.paused, float64(n), string(reason))
	}
}

// collectEvents leaves the gauges out while another controller reads the queue.
func (c *collector) collectEvents(ch chan<- prometheus.Metric, e events.State) {
	for _, n := range e.Counts {
		ch <- prometheus.MustNewConstMetric(c.events, prometheus.CounterValue, float64(n.Number), string(n.Kind), string(n.Outcome))
	}
	ch <- prometheus.MustNewConstMetric(c.eventsMissed, prometheus.CounterValue, float64(e.Missed))
	if !e.Listens {
		return
	}
	gauge(ch, c.eventsReadable, number(e.Error == ""))
	gauge(ch, c.eventsBehind, e.Behind.Seconds())
	gauge(ch, c.eventsSlow, number(e.Slow))
	timestamp(ch, c.eventsRead, e.ReadAt)
	timestamp(ch, c.eventsLast, e.LastAt)
}

// listeners is how many subscribe to events.
func (b *Board) listeners() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.activity.subs)
}

// queueStats asks outside the board's lock: counting the queue takes the queue's own.
func (b *Board) queueStats() (queue.Stats, bool) {
	b.mu.Lock()
	ask := b.queue
	b.mu.Unlock()
	if ask == nil {
		return queue.Stats{}, false
	}
	return ask(), true
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// timestamp leaves out a time that never was: 0 would read as 1970 and set off every alert on age.
func timestamp(ch chan<- prometheus.Metric, d *prometheus.Desc, at time.Time, labels ...string) {
	if !at.IsZero() {
		gauge(ch, d, float64(at.UnixNano())/1e9, labels...)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
