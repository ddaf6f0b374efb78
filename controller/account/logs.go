package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

const (
	logOverlap    = time.Minute // a line may be ingested this much later than a later one of another task
	clockSlack    = time.Minute // by which the clock that wrote a line may be ahead of ours
	logPagesMax   = 10          // of 10,000 lines or 1 MB each, per look and group
	logStreamsMax = 100         // FilterLogEvents' limit of stream names
	logMatchesMax = 20          // lines kept for each pattern, the first ones
	logTailMax    = 200
	logLineMax    = 2000 // bytes kept of a line; patterns see all of it
)

// logState is what has been read of one deployment's logs: a look reads on from there, with an overlap for lines that
// arrive late.
type logState struct {
	subject string                          // deployment, revision, beginning and patterns; another subject begins anew
	places  map[string]logPlace             // by group, where the next look reads on
	recent  map[string]map[string]time.Time // by group, the ids of events that may be read again
	logs    observed.Logs
}

// observeLogs answers the lines of the followed deployment's own tasks since the look's beginning. Where the log could not
// be read to its end, that is an error beside what was read.
func (a *Account) observeLogs(ctx context.Context, s *observed.Service, look observed.Look) error {
	patterns, err := compile(look.Logs.Patterns)
	if err != nil {
		return err
	}
	r, err := a.revision(ctx, look.Logs.Revision, forever)
	if err != nil {
		return err
	}
	streams, err := a.streams(r, s.Tasks, look.Deployment)
	if err != nil {
		return err
	}
	since := look.Logs.Since
	if d, ok := s.Deployment(look.Deployment); ok && !d.CreatedAt.IsZero() && d.CreatedAt.Before(since) {
		since = d.CreatedAt // it ran already when it was asked for: its tasks may have said long ago what is required of them
	}
	subject := fmt.Sprintf("%s %s %d %q", look.Deployment, r.ARN, since.UnixMilli(), look.Logs.Patterns)
	state, ok := a.logs.get(s.ARN, forever)
	if !ok || state.subject != subject {
		state = logState{subject: subject}
	}
	state = state.clone()
	var failed []error
	state.logs.Behind = 0
	for _, group := range slices.Sorted(maps.Keys(streams)) {
		at := state.places[group]
		at.from = newest(since, at.from)
		events, next, err := a.readGroup(ctx, group, streams[group], at, begun(s.Tasks, look.Deployment))
		if err != nil {
			failed = append(failed, err)
		}
		if state.places[group] = next; next.behind {
			state.logs.Behind = logOverlap + clockSlack
		}
		state.add(group, events, patterns)
	}
	a.logs.put(s.ARN, state)
	s.Logs = state.answer(look.Logs.Tail)
	return errors.Join(failed...)
}

func compile(patterns []string) (map[string]*regexp.Regexp, error) {
	out := map[string]*regexp.Regexp{}
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fault.New(fault.Terminal, "pattern", fmt.Errorf("log pattern %q: %w", p, err))
		}
		out[p] = re
	}
	return out, nil
}

// streams answers, by log group, the streams that the deployment's tasks write to: awslogs names them
// prefix/container/task-id.
func (a *Account) streams(r revision, tasks []observed.Task, deployment string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, target := range r.logs {
		if target.region != "" && target.region != a.opts.Region {
			continue
		}
		out[target.group] = append(out[target.group], streamsOf(target, tasks, deployment)...)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Blocked, "no_logs", fmt.Errorf(
			"no container of revision %s logs to CloudWatch in %s with awslogs-stream-prefix: add that to the template", name(r.ARN), a.opts.Region))
	}
	return out, nil
}

func streamsOf(target logTarget, tasks []observed.Task, deployment string) []string {
	var out []string
	for _, t := range tasks {
		if t.Deployment == deployment {
			out = append(out, target.prefix+"/"+target.container+"/"+t.ID())
		}
	}
	return out
}

// begun reports whether no task of the deployment is without its network yet, and so surely without a container that could have made
// its stream. Any later one may have: a container that others wait for writes long before its task counts as started.
func begun(tasks []observed.Task, deployment string) bool {
	return !slices.ContainsFunc(tasks, func(t observed.Task) bool { return t.Deployment == deployment && t.LastStatus == "PROVISIONING" })
}

func (s logState) clone() logState {
	places, recent := map[string]logPlace{}, map[string]map[string]time.Time{}
	for group, at := range s.places {
		places[group], recent[group] = at, maps.Clone(s.recent[group])
	}
	s.places, s.recent = places, recent
	matches := map[string][]observed.LogLine{}
	for p, lines := range s.logs.Matches {
		matches[p] = slices.Clone(lines)
	}
	s.logs.Matches, s.logs.Tail = matches, slices.Clone(s.logs.Tail)
	return s
}

func (s *logState) add(group string, events []cwl.FilteredLogEvent, patterns map[string]*regexp.Regexp) {
	recent := s.recent[group]
	if recent == nil {
		recent = map[string]time.Time{}
		s.recent[group] = recent
	}
	for _, e := range events {
		at, id := time.UnixMilli(aws.ToInt64(e.Timestamp)), aws.ToString(e.EventId)
		if _, seen := recent[id]; seen {
			continue
		}
		recent[id] = at
		s.logs.Seen = true
		line := observed.LogLine{At: at, Task: name(aws.ToString(e.LogStreamName)), Message: bounded(aws.ToString(e.Message))}
		for p, re := range patterns {
			if len(s.logs.Matches[p]) < logMatchesMax && re.MatchString(aws.ToString(e.Message)) {
				s.logs.Matches[p] = append(s.logs.Matches[p], line)
			}
		}
		s.logs.Tail = append(s.logs.Tail, line)
	}
	slices.SortStableFunc(s.logs.Tail, func(a, b observed.LogLine) int { return a.At.Compare(b.At) })
	if extra := len(s.logs.Tail) - logTailMax; extra > 0 {
		s.logs.Tail = slices.Delete(s.logs.Tail, 0, extra)
	}
	again := s.places[group].from.Truncate(time.Millisecond) // as a request has it
	maps.DeleteFunc(recent, func(_ string, at time.Time) bool { return at.Before(again) })
}

// answer is a copy that the caller may keep, with the last tail lines.
func (s logState) answer(tail int) *observed.Logs {
	out := s.clone().logs
	out.Tail = out.Tail[max(0, len(out.Tail)-tail):]
	if tail == 0 {
		out.Tail = nil
	}
	return &out
}

func bounded(line string) string {
	if len(line) <= logLineMax {
		return line
	}
	return strings.ToValidUTF8(line[:logLineMax], "")
}

func millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return aws.Int64(t.UnixMilli())
}

// lastLines answers the last lines of one container of one task, oldest first; nothing where the stream does not exist.
func (a *Account) lastLines(ctx context.Context, target logTarget, task string, limit int32) ([]string, error) {
	out, err := a.aws.Logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: &target.group, LogStreamName: aws.String(target.prefix + "/" + target.container + "/" + task),
		Limit: &limit, StartFromHead: aws.Bool(false),
	})
	if err = deed(err, "read log group %s", target.group); fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.Events, func(x, y cwl.OutputLogEvent) int {
		return cmp.Compare(aws.ToInt64(x.Timestamp), aws.ToInt64(y.Timestamp))
	})
	var lines []string
	for _, e := range out.Events {
		lines = append(lines, bounded(aws.ToString(e.Message)))
	}
	return lines, nil
}
