package alarms

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Limits of https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html and
// …/API_GetMetricData.html. Everything is kept in the finest grain that alarms use, for longer than an alarm can
// look back (a day).
const (
	maxData       = 1000
	maxDimensions = 30
	maxQueries    = 500
	maxDatapoints = 100_800
	grain         = 10 * time.Second
	kept          = 25 * time.Hour
)

// series is one metric's data, by time.
type series struct{ buckets []bucket }

// bucket is what was measured in one grain.
type bucket struct {
	at                    int64 // the grain's beginning, in seconds since 1970
	sum, count, low, high float64
}

func (b *bucket) add(o bucket) {
	if b.count == 0 {
		b.low, b.high = o.low, o.high
	}
	b.sum, b.count, b.low, b.high = b.sum+o.sum, b.count+o.count, min(b.low, o.low), max(b.high, o.high)
}

// statistic is one of Sum, Average, Minimum, Maximum and SampleCount; ok is false for any other.
func (b bucket) statistic(name string) (v float64, ok bool) {
	switch types.Statistic(name) {
	case types.StatisticSum:
		return b.sum, true
	case types.StatisticAverage:
		return b.sum / b.count, true
	case types.StatisticMinimum:
		return b.low, true
	case types.StatisticMaximum:
		return b.high, true
	case types.StatisticSampleCount:
		return b.count, true
	}
	return 0, false
}

func seriesKey(namespace, metric string, dimensions []types.Dimension) string {
	var parts []string
	for _, d := range dimensions {
		parts = append(parts, aws.ToString(d.Name)+"="+aws.ToString(d.Value))
	}
	slices.Sort(parts)
	return namespace + "\n" + metric + "\n" + strings.Join(parts, "\n")
}

// PutMetricData adds data, not older than two weeks and not newer than two hours.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
func (e *Engine) PutMetricData(_ context.Context, in *cloudwatch.PutMetricDataInput) (*cloudwatch.PutMetricDataOutput, error) {
	if err := wire.Refuse(in, "Namespace", "MetricData"); err != nil {
		return nil, err
	}
	namespace := aws.ToString(in.Namespace)
	if namespace == "" || strings.HasPrefix(namespace, "AWS/") {
		return nil, &types.InvalidParameterValueException{Message: aws.String("The value AWS/ for parameter Namespace is invalid: it must be given and not begin with AWS/")}
	}
	if len(in.MetricData) == 0 || len(in.MetricData) > maxData {
		return nil, validation("MetricData must have 1 to %d members, found %d", maxData, len(in.MetricData))
	}
	now := time.Now()
	for _, d := range in.MetricData {
		at := aws.ToTime(orNow(d.Timestamp, now))
		if len(d.Dimensions) > maxDimensions || aws.ToString(d.MetricName) == "" {
			return nil, validation("a metric needs a name and has at most %d dimensions", maxDimensions)
		}
		if at.Before(now.AddDate(0, 0, -14)) || at.After(now.Add(2*time.Hour)) {
			return nil, &types.InvalidParameterValueException{Message: aws.String("The parameter MetricData.Timestamp must be within the last two weeks and the next two hours")}
		}
		if _, err := measured(d); err != nil {
			return nil, err
		}
	}
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range in.MetricData {
		b, err := measured(d)
		if err != nil {
			return nil, err
		}
		e.add(namespace, *d.MetricName, d.Dimensions, *orNow(d.Timestamp, now), b)
	}
	return &cloudwatch.PutMetricDataOutput{}, nil
}

func orNow(at *time.Time, now time.Time) *time.Time {
	if at != nil {
		return at
	}
	return &now
}

// measured is one datum: a value, values with counts, or a statistic set.
func measured(d types.MetricDatum) (bucket, error) {
	var b bucket
	forms := 0
	if d.Value != nil {
		forms++
		b.add(bucket{sum: *d.Value, count: 1, low: *d.Value, high: *d.Value})
	}
	if len(d.Values) > 0 {
		forms++
		if len(d.Counts) > 0 && len(d.Counts) != len(d.Values) {
			return b, validation("Values and Counts of %s must be of one length", *d.MetricName)
		}
		for i, v := range d.Values {
			n := 1.0
			if len(d.Counts) > 0 {
				n = d.Counts[i]
			}
			b.add(bucket{sum: v * n, count: n, low: v, high: v})
		}
	}
	if s := d.StatisticValues; s != nil {
		forms++
		b.add(bucket{sum: aws.ToFloat64(s.Sum), count: aws.ToFloat64(s.SampleCount), low: aws.ToFloat64(s.Minimum), high: aws.ToFloat64(s.Maximum)})
	}
	if forms != 1 || math.IsNaN(b.sum) || math.IsInf(b.sum, 0) || b.count <= 0 {
		return b, validation("%s needs exactly one of Value, Values and StatisticValues, with numbers that are finite", aws.ToString(d.MetricName))
	}
	return b, nil
}

// Add puts in one value of a metric as a service of the account does, whose namespace begins with AWS/.
func (e *Engine) Add(namespace, metric string, dimensions []types.Dimension, at time.Time, value float64) {
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.add(namespace, metric, dimensions, at, bucket{sum: value, count: 1, low: value, high: value})
}

// add is called with the lock held.
func (e *Engine) add(namespace, metric string, dimensions []types.Dimension, at time.Time, b bucket) {
	key := seriesKey(namespace, metric, dimensions)
	s := e.series[key]
	first := s == nil
	if first {
		s = &series{}
		e.series[key] = s
	}
	b.at = at.Truncate(grain).Unix()
	i, found := slices.BinarySearchFunc(s.buckets, b.at, func(b bucket, at int64) int { return cmp.Compare(b.at, at) })
	if found {
		s.buckets[i].add(b)
	} else {
		s.buckets = slices.Insert(s.buckets, i, b)
	}
	oldest := time.Now().Add(-kept).Unix()
	s.buckets = slices.DeleteFunc(s.buckets, func(b bucket) bool { return b.at < oldest })
	for _, a := range e.metric {
		if key == alarmKey(a) {
			e.schedule(a)
		}
	}
}

// point sums up the buckets from at on; ok is false where there are none.
func (s *series) point(at time.Time, period time.Duration) (b bucket, ok bool) {
	from, to := at.Unix(), at.Add(period).Unix()
	i, _ := slices.BinarySearchFunc(s.buckets, from, func(b bucket, at int64) int { return cmp.Compare(b.at, at) })
	for ; i < len(s.buckets) && s.buckets[i].at < to; i++ {
		b.add(s.buckets[i])
		ok = true
	}
	return b, ok
}

// GetMetricData answers data of single metrics, newest first unless ScanBy says otherwise; metric math is
// refused. Periods without data are absent.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
func (e *Engine) GetMetricData(_ context.Context, in *cloudwatch.GetMetricDataInput) (*cloudwatch.GetMetricDataOutput, error) {
	if err := wire.Refuse(in, "StartTime", "EndTime", "MetricDataQueries", "ScanBy", "MaxDatapoints"); err != nil {
		return nil, err
	}
	if in.StartTime == nil || in.EndTime == nil || !in.StartTime.Before(*in.EndTime) {
		return nil, validation("StartTime must be before EndTime")
	}
	if len(in.MetricDataQueries) == 0 || len(in.MetricDataQueries) > maxQueries {
		return nil, validation("MetricDataQueries must have 1 to %d members, found %d", maxQueries, len(in.MetricDataQueries))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	out := &cloudwatch.GetMetricDataOutput{}
	for _, q := range in.MetricDataQueries {
		if err := wire.Refuse(&q, "Id", "Label", "MetricStat", "ReturnData"); err != nil {
			return nil, err
		}
		r, err := e.query(q, *in.StartTime, *in.EndTime)
		if err != nil {
			return nil, err
		}
		if in.ScanBy != types.ScanByTimestampAscending {
			slices.Reverse(r.Timestamps)
			slices.Reverse(r.Values)
		}
		if q.ReturnData == nil || *q.ReturnData {
			out.MetricDataResults = append(out.MetricDataResults, r)
		}
	}
	return out, nil
}

func (e *Engine) query(q types.MetricDataQuery, from, to time.Time) (types.MetricDataResult, error) {
	r := types.MetricDataResult{Id: q.Id, Label: q.Label, StatusCode: types.StatusCodeComplete, Timestamps: []time.Time{}, Values: []float64{}}
	s := q.MetricStat
	if s == nil || s.Metric == nil {
		return r, validation("query %s needs a MetricStat with a Metric in this account", aws.ToString(q.Id))
	}
	period := time.Duration(aws.ToInt32(s.Period)) * time.Second
	if err := checkPeriod(aws.ToInt32(s.Period)); err != nil {
		return r, err
	}
	if _, ok := (bucket{count: 1}).statistic(aws.ToString(s.Stat)); !ok {
		return r, validation("Stat must be Sum, Average, Minimum, Maximum or SampleCount in this account, found %q", aws.ToString(s.Stat))
	}
	if r.Label == nil {
		r.Label = s.Metric.MetricName
	}
	data := e.series[seriesKey(aws.ToString(s.Metric.Namespace), aws.ToString(s.Metric.MetricName), s.Metric.Dimensions)]
	if data == nil {
		return r, nil
	}
	if oldest := time.Now().Add(-kept); from.Before(oldest) {
		from = oldest
	}
	for at := from.Truncate(period); at.Before(to) && len(r.Values) < maxDatapoints; at = at.Add(period) {
		if b, ok := data.point(at, period); ok {
			v, _ := b.statistic(*s.Stat)
			r.Timestamps, r.Values = append(r.Timestamps, at.UTC()), append(r.Values, v)
		}
	}
	return r, nil
}

// checkPeriod: 10, 20, 30 or a multiple of 60 seconds. (AWS knows 1 and 5 too.)
func checkPeriod(seconds int32) error {
	if seconds == 10 || seconds == 20 || seconds == 30 || (seconds >= 60 && seconds%60 == 0) {
		return nil
	}
	return validation("Period must be 10, 20, 30 or a multiple of 60 in this account, found %d", seconds)
}
