package logs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// DefaultGroupBytes is how much of one group is kept; then its oldest events go first. AWS has no such limit:
// this one keeps an account that runs for days from growing without end.
const DefaultGroupBytes = 32 << 20

// retentions are the days that a group can keep its events.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// SetGroupBytes changes how much of one group is kept, from its next event on.
func (e *Engine) SetGroupBytes(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.groupBytes = n
}

// PutRetentionPolicy lets a group's events go after so many days.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func (e *Engine) PutRetentionPolicy(_ context.Context, in *cloudwatchlogs.PutRetentionPolicyInput) (*cloudwatchlogs.PutRetentionPolicyOutput, error) {
	if in.RetentionInDays == nil || !slices.Contains(retentions, *in.RetentionInDays) {
		return nil, invalid("retentionInDays must be one of %v, found %d", retentions, aws.ToInt32(in.RetentionInDays))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	g.retention = *in.RetentionInDays
	return &cloudwatchlogs.PutRetentionPolicyOutput{}, nil
}

// DeleteRetentionPolicy lets a group keep its events for ever.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteRetentionPolicy.html
func (e *Engine) DeleteRetentionPolicy(_ context.Context, in *cloudwatchlogs.DeleteRetentionPolicyInput) (*cloudwatchlogs.DeleteRetentionPolicyOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	g.retention = 0
	return &cloudwatchlogs.DeleteRetentionPolicyOutput{}, nil
}

// DeleteLogStream removes a stream with its events.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogStream.html
func (e *Engine) DeleteLogStream(_ context.Context, in *cloudwatchlogs.DeleteLogStreamInput) (*cloudwatchlogs.DeleteLogStreamOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	s := g.streams[aws.ToString(in.LogStreamName)]
	if s == nil {
		return nil, noStream()
	}
	delete(g.streams, s.name)
	for _, v := range s.events {
		g.bytes -= v.size()
	}
	return &cloudwatchlogs.DeleteLogStreamOutput{}, nil
}

func (v event) size() int { return len(v.message) + eventOverhead }

// expire lets go what is older than the group's retention.
func (g *group) expire() {
	if g.retention > 0 {
		g.dropBefore(time.Now().AddDate(0, 0, -int(g.retention)).UnixMilli())
	}
}

// shrink lets the oldest events go until three quarters of the limit are left, so that it is seldom done.
func (g *group) shrink(limit int) {
	if g.bytes <= limit {
		return
	}
	type aged struct {
		at   int64
		size int
	}
	var all []aged
	for _, s := range g.streams {
		for _, v := range s.events {
			all = append(all, aged{v.at, v.size()})
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return int(min(max(a.at-b.at, -1), 1)) })
	over := g.bytes - limit*3/4
	for _, v := range all {
		if over <= 0 {
			g.dropBefore(v.at)
			return
		}
		over -= v.size
	}
}

func (g *group) dropBefore(at int64) {
	for _, s := range g.streams {
		i := 0
		for ; i < len(s.events) && s.events[i].at < at; i++ {
			g.bytes -= s.events[i].size()
		}
		if i > 0 {
			s.events = slices.Clone(s.events[i:]) // what is dropped must not be held by what is kept
		}
	}
}
