// Package logs is CloudWatch Logs of the local account: groups, streams and their events, which become
// visible a while after they were written.
package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Engine holds the log groups of one account and region.
type Engine struct {
	account, region string

	mu     sync.Mutex
	delay  time.Duration
	groups map[string]*group
	events uint64 // how many there ever were: the source of event ids

	searched int // lines that a page of FilterLogEvents searches, whoever wrote them; 0: all

	groupBytes int
}

type group struct {
	name    string
	created time.Time
	tags    map[string]string
	streams map[string]*stream

	retention int32 // days; 0: for ever
	bytes     int   // of all events
}

type stream struct {
	name    string
	created time.Time
	events  []event // by time, then by number
}

type event struct {
	at       int64 // milliseconds since 1970
	number   uint64
	message  string
	ingested time.Time
	visible  time.Time
}

// Limits of https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const (
	maxBatchEvents = 10_000
	maxBatchBytes  = 1_048_576
	eventOverhead  = 26
	describePage   = 50
)

// New makes an engine without groups, whose events are visible at once.
func New(account, region string) *Engine {
	return &Engine{account: account, region: region, groups: map[string]*group{}, groupBytes: DefaultGroupBytes}
}

// SetDelay lets events that are written from now on be found only after d.
func (e *Engine) SetDelay(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delay = d
}

// SetSearched lets a page of FilterLogEvents search so many lines of its group at most, whoever wrote them: it may be empty then and still
// have a successor, as one may in a large group.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
func (e *Engine) SetSearched(lines int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.searched = lines
}

// GroupExists says whether a log driver may write to the group.
func (e *Engine) GroupExists(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.groups[name] != nil
}

// Put adds one line as the log driver of a container does, and makes its stream if needed. Lines to a group
// that is not there are lost.
func (e *Engine) Put(groupName, streamName string, at time.Time, line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.groups[groupName]
	if g == nil {
		return
	}
	s := g.streams[streamName]
	if s == nil {
		s = &stream{name: streamName, created: at}
		g.streams[streamName] = s
	}
	e.append(g, s, at.UnixMilli(), line)
}

// append keeps the order by time: lines of one container come in order, so that this is mostly a push.
func (e *Engine) append(g *group, s *stream, at int64, message string) {
	e.events++
	now := time.Now()
	v := event{at: at, number: e.events, message: message, ingested: now, visible: now.Add(e.delay)}
	i, _ := slices.BinarySearchFunc(s.events, v, compareEvents)
	s.events = slices.Insert(s.events, i, v)
	g.bytes += v.size()
	g.shrink(e.groupBytes)
}

func compareEvents(a, b event) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number))
}

// CreateLogGroup makes an empty group.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
func (e *Engine) CreateLogGroup(_ context.Context, in *cloudwatchlogs.CreateLogGroupInput) (*cloudwatchlogs.CreateLogGroupOutput, error) {
	if err := wire.Refuse(in, "LogGroupName", "Tags"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	name := aws.ToString(in.LogGroupName)
	if e.groups[name] != nil {
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("The specified log group already exists")}
	}
	e.groups[name] = &group{name: name, created: time.Now(), tags: in.Tags, streams: map[string]*stream{}}
	return &cloudwatchlogs.CreateLogGroupOutput{}, nil
}

// DeleteLogGroup removes a group with all that was written to it.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogGroup.html
func (e *Engine) DeleteLogGroup(_ context.Context, in *cloudwatchlogs.DeleteLogGroupInput) (*cloudwatchlogs.DeleteLogGroupOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.group(in.LogGroupName, nil); err != nil {
		return nil, err
	}
	delete(e.groups, *in.LogGroupName)
	return &cloudwatchlogs.DeleteLogGroupOutput{}, nil
}

// CreateLogStream makes an empty stream.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html
func (e *Engine) CreateLogStream(_ context.Context, in *cloudwatchlogs.CreateLogStreamInput) (*cloudwatchlogs.CreateLogStreamOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g, err := e.group(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.LogStreamName)
	if g.streams[name] != nil {
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("The specified log stream already exists")}
	}
	g.streams[name] = &stream{name: name, created: time.Now()}
	return &cloudwatchlogs.CreateLogStreamOutput{}, nil
}

// PutLogEvents adds events, which must be in the order of time. Sequence tokens are taken and ignored, as by
// AWS. https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
func (e *Engine) PutLogEvents(_ context.Context, in *cloudwatchlogs.PutLogEventsInput) (*cloudwatchlogs.PutLogEventsOutput, error) {
	if err := wire.Refuse(in, "LogEvents", "LogGroupName", "LogStreamName", "SequenceToken"); err != nil {
		return nil, err
	}
	size := 0
	for i, v := range in.LogEvents {
		size += len(aws.ToString(v.Message)) + eventOverhead
		if i > 0 && aws.ToInt64(v.Timestamp) < aws.ToInt64(in.LogEvents[i-1].Timestamp) {
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if len(in.LogEvents) == 0 || len(in.LogEvents) > maxBatchEvents || size > maxBatchBytes {
		return nil, invalid("logEvents must have 1 to %d events and at most %d bytes, found %d and %d", maxBatchEvents, maxBatchBytes, len(in.LogEvents), size)
	}
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
	for _, v := range in.LogEvents {
		e.append(g, s, aws.ToInt64(v.Timestamp), aws.ToString(v.Message))
	}
	return &cloudwatchlogs.PutLogEventsOutput{NextSequenceToken: aws.String(fmt.Sprint(e.events))}, nil
}

// group finds by name or by ARN.
func (e *Engine) group(name, identifier *string) (*group, error) {
	if (name == nil) == (identifier == nil) {
		return nil, invalid("give either logGroupName or logGroupIdentifier")
	}
	id := aws.ToString(name) + aws.ToString(identifier)
	for _, g := range e.groups {
		if g.name == id || (identifier != nil && e.arn(g) == id) {
			g.expire()
			return g, nil
		}
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("The specified log group does not exist.")}
}

func (e *Engine) arn(g *group) string {
	return "arn:aws:logs:" + e.region + ":" + e.account + ":log-group:" + g.name
}

func noStream() error {
	return &types.ResourceNotFoundException{Message: aws.String("The specified log stream does not exist.")}
}

func invalid(format string, args ...any) error {
	return &types.InvalidParameterException{Message: aws.String(fmt.Sprintf(format, args...))}
}
