package logs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Limits of https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
const (
	maxEvents     = 10_000
	maxStreams    = 100
	responseBytes = 1 << 20
)

// FilterLogEvents answers the events that match, over all streams in the order of time.
func (e *Engine) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	if err := wire.Refuse(in, "EndTime", "FilterPattern", "Interleaved", "Limit", "LogGroupIdentifier", "LogGroupName",
		"LogStreamNamePrefix", "LogStreamNames", "NextToken", "StartTime"); err != nil {
		return nil, err
	}
	p, err := parsePattern(aws.ToString(in.FilterPattern))
	if err != nil {
		return nil, invalid("Invalid filter pattern: %v", err)
	}
	size, err := eventLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > maxStreams || (len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil) {
		return nil, invalid("give at most %d logStreamNames, or a logStreamNamePrefix", maxStreams)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	streams, err := g.selected(in.LogStreamNames, aws.ToString(in.LogStreamNamePrefix))
	if err != nil {
		return nil, err
	}
	found := matches(streams, aws.ToInt64(in.StartTime), in.EndTime, p)
	size = fitting(found, size)
	own := func(filtered) bool { return true }
	if e.searched > 0 {
		keys := map[string]bool{}
		for _, f := range found {
			keys[f.key()] = true
		}
		own = func(f filtered) bool { return keys[f.key()] }
		found, size = matches(slices.Collect(maps.Values(g.streams)), aws.ToInt64(in.StartTime), in.EndTime, pattern{}), min(size, e.searched)
	}
	page, next, ok := wire.Page(found, filtered.key, in.NextToken, size)
	if !ok {
		return nil, invalid("The specified nextToken is invalid.")
	}
	page = slices.DeleteFunc(page, func(f filtered) bool { return !own(f) })
	out := &cloudwatchlogs.FilterLogEventsOutput{Events: []types.FilteredLogEvent{}, NextToken: next, SearchedLogStreams: []types.SearchedLogStream{}}
	for _, f := range page {
		out.Events = append(out.Events, types.FilteredLogEvent{
			EventId: aws.String(fmt.Sprintf("%056d", f.number)), IngestionTime: aws.Int64(f.ingested.UnixMilli()),
			LogStreamName: aws.String(f.stream), Message: aws.String(f.message), Timestamp: aws.Int64(f.at),
		})
	}
	return out, nil
}

type filtered struct {
	event
	stream string
}

// key orders by time, also as text.
func (f filtered) key() string { return fmt.Sprintf("%020d %020d", f.at, f.number) }

func matches(streams []*stream, from int64, to *int64, p pattern) []filtered {
	now := time.Now()
	var out []filtered
	for _, s := range streams {
		start := sort.Search(len(s.events), func(i int) bool { return s.events[i].at >= from })
		for _, v := range s.events[start:] {
			if to != nil && v.at > *to {
				break
			}
			if !v.visible.After(now) && p.match(v.message) {
				out = append(out, filtered{v, s.name})
			}
		}
	}
	return out
}

// fitting lowers a page's size to what an answer of one MiB holds, at least one event.
func fitting(found []filtered, size int) int {
	bytes := 0
	longest := 0
	for _, f := range found {
		longest = max(longest, len(f.message)+eventOverhead)
		bytes += len(f.message) + eventOverhead
	}
	if bytes <= responseBytes {
		return size
	}
	return max(1, min(size, responseBytes/longest))
}

func (g *group) selected(names []string, prefix string) ([]*stream, error) {
	var out []*stream
	for _, n := range names {
		s := g.streams[n]
		if s == nil {
			return nil, noStream()
		}
		out = append(out, s)
	}
	if len(names) > 0 {
		return out, nil
	}
	for n, s := range g.streams {
		if strings.HasPrefix(n, prefix) {
			out = append(out, s)
		}
	}
	return out, nil
}

func eventLimit(asked *int32) (int, error) {
	if asked == nil {
		return maxEvents, nil
	}
	if *asked < 1 || *asked > maxEvents {
		return 0, invalid("limit must be 1 to %d, found %d", maxEvents, *asked)
	}
	return int(*asked), nil
}

// GetLogEvents reads one stream, from its end unless StartFromHead. Tokens name a place in the stream: the
// one that comes back unchanged is the end.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
func (e *Engine) GetLogEvents(_ context.Context, in *cloudwatchlogs.GetLogEventsInput) (*cloudwatchlogs.GetLogEventsOutput, error) {
	size, err := eventLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	s := g.streams[aws.ToString(in.LogStreamName)]
	if s == nil {
		return nil, noStream()
	}
	found := matches([]*stream{s}, aws.ToInt64(in.StartTime), beforeEnd(in.EndTime), pattern{})
	from, to, err := window(in, found, fitting(found, size))
	if err != nil {
		return nil, err
	}
	back, forth := place{}, place{}
	if in.NextToken != nil {
		_, back, err = parseToken(*in.NextToken)
		forth = back
	}
	if err != nil {
		return nil, err
	}
	if from < to {
		back, forth = found[from].place(), found[to-1].place()
		forth.number++
	}
	out := &cloudwatchlogs.GetLogEventsOutput{
		Events: []types.OutputLogEvent{}, NextBackwardToken: aws.String(back.token("b")), NextForwardToken: aws.String(forth.token("f")),
	}
	for _, f := range found[from:to] {
		out.Events = append(out.Events, types.OutputLogEvent{
			IngestionTime: aws.Int64(f.ingested.UnixMilli()), Message: aws.String(f.message), Timestamp: aws.Int64(f.at),
		})
	}
	return out, nil
}

// beforeEnd makes GetLogEvents' end, which is not included, one that is.
func beforeEnd(end *int64) *int64 {
	if end == nil {
		return nil
	}
	return aws.Int64(*end - 1)
}

// place is one before which a stream's events are read backwards, and from which on forwards. It names an
// event, not a count, so that events which come or go elsewhere do not move it.
type place struct {
	at     int64
	number uint64
}

func (v event) place() place { return place{v.at, v.number} }

func (p place) token(kind string) string { return fmt.Sprintf("%s/%d/%d", kind, p.at, p.number) }

func parseToken(t string) (kind string, p place, err error) {
	n, scanErr := fmt.Sscanf(t, "%1s/%d/%d", &kind, &p.at, &p.number)
	if n != 3 || scanErr != nil || (kind != "f" && kind != "b") {
		return "", p, invalid("The specified nextToken is invalid.")
	}
	return kind, p, nil
}

func window(in *cloudwatchlogs.GetLogEventsInput, found []filtered, size int) (from, to int, err error) {
	n := len(found)
	if in.NextToken == nil {
		if aws.ToBool(in.StartFromHead) {
			return 0, min(size, n), nil
		}
		return max(0, n-size), n, nil
	}
	kind, p, err := parseToken(*in.NextToken)
	if err != nil {
		return 0, 0, err
	}
	at := sort.Search(n, func(i int) bool {
		v := found[i]
		return v.at > p.at || (v.at == p.at && v.number >= p.number)
	})
	if kind == "f" {
		return at, min(at+size, n), nil
	}
	return max(0, at-size), at, nil
}

// DescribeLogGroups lists groups by prefix or part of their name.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
func (e *Engine) DescribeLogGroups(_ context.Context, in *cloudwatchlogs.DescribeLogGroupsInput) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	if err := wire.Refuse(in, "Limit", "LogGroupNamePattern", "LogGroupNamePrefix", "NextToken"); err != nil {
		return nil, err
	}
	size, err := describeLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.LogGroup
	for _, g := range e.groups {
		if !strings.HasPrefix(g.name, aws.ToString(in.LogGroupNamePrefix)) || !strings.Contains(g.name, aws.ToString(in.LogGroupNamePattern)) {
			continue
		}
		g.expire()
		shown := types.LogGroup{
			LogGroupName: aws.String(g.name), CreationTime: aws.Int64(g.created.UnixMilli()), LogGroupClass: types.LogGroupClassStandard,
			Arn: aws.String(e.arn(g) + ":*"), LogGroupArn: aws.String(e.arn(g)), MetricFilterCount: aws.Int32(0), StoredBytes: aws.Int64(int64(g.bytes)),
		}
		if g.retention > 0 {
			shown.RetentionInDays = aws.Int32(g.retention)
		}
		out = append(out, shown)
	}
	page, next, ok := wire.Page(out, func(g types.LogGroup) string { return *g.LogGroupName }, in.NextToken, size)
	if !ok {
		return nil, invalid("The specified nextToken is invalid.")
	}
	return &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: page, NextToken: next}, nil
}

// DescribeLogStreams lists a group's streams by name or by their last event.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html
func (e *Engine) DescribeLogStreams(_ context.Context, in *cloudwatchlogs.DescribeLogStreamsInput) (*cloudwatchlogs.DescribeLogStreamsOutput, error) {
	size, err := describeLimit(in.Limit)
	if err != nil {
		return nil, err
	}
	byTime := in.OrderBy == types.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	streams, err := g.selected(nil, aws.ToString(in.LogStreamNamePrefix))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(streams, func(a, b *stream) int {
		if byTime {
			return cmp.Or(cmp.Compare(a.last(), b.last()), cmp.Compare(a.name, b.name))
		}
		return cmp.Compare(a.name, b.name)
	})
	if aws.ToBool(in.Descending) {
		slices.Reverse(streams)
	}
	from := 0
	if in.NextToken != nil {
		from = 1 + slices.IndexFunc(streams, func(s *stream) bool { return s.name == *in.NextToken })
		if from == 0 {
			return nil, invalid("The specified nextToken is invalid.")
		}
	}
	out := &cloudwatchlogs.DescribeLogStreamsOutput{LogStreams: []types.LogStream{}}
	for i := from; i < len(streams); i++ {
		if i == from+size {
			out.NextToken = aws.String(streams[i-1].name)
			break
		}
		out.LogStreams = append(out.LogStreams, e.showStream(g, streams[i]))
	}
	return out, nil
}

func (s *stream) last() int64 {
	if len(s.events) == 0 {
		return 0
	}
	return s.events[len(s.events)-1].at
}

func (e *Engine) showStream(g *group, s *stream) types.LogStream {
	out := types.LogStream{
		LogStreamName: aws.String(s.name), Arn: aws.String(e.arn(g) + ":log-stream:" + s.name),
		CreationTime: aws.Int64(s.created.UnixMilli()), StoredBytes: aws.Int64(0),
	}
	if len(s.events) > 0 {
		out.FirstEventTimestamp = aws.Int64(s.events[0].at)
		out.LastEventTimestamp = aws.Int64(s.last())
		out.LastIngestionTime = aws.Int64(s.events[len(s.events)-1].ingested.UnixMilli())
	}
	return out
}

func describeLimit(asked *int32) (int, error) {
	if asked == nil {
		return describePage, nil
	}
	if *asked < 1 || *asked > describePage {
		return 0, invalid("limit must be 1 to %d, found %d", describePage, *asked)
	}
	return int(*asked), nil
}
