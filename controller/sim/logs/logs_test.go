package logs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/sim/logs"
)

const group = "/ecs/orders"

func engine(t interface{ Fatal(...any) }, ctx context.Context) *logs.Engine {
	e := logs.New("000000000000", "eu-central-1")
	if _, err := e.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(group)}); err != nil {
		t.Fatal(err)
	}
	return e
}

func filter(t *testing.T, e *logs.Engine, in cloudwatchlogs.FilterLogEventsInput) []string {
	t.Helper()
	in.LogGroupName = aws.String(group)
	var got []string
	for {
		out, err := e.FilterLogEvents(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Events {
			got = append(got, *v.LogStreamName+": "+*v.Message)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return got
		}
	}
}

func TestPagesMayBeEmpty(t *testing.T) {
	e := engine(t, t.Context())
	e.SetSearched(2)
	for i, stream := range []string{"old", "old", "old", "new", "old"} {
		e.Put(group, stream, time.UnixMilli(1_000_000+int64(i)), "line")
	}
	in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(group), LogStreamNames: []string{"new"}}
	first, err := e.FilterLogEvents(t.Context(), &in)
	if err != nil || len(first.Events) > 0 || first.NextToken == nil {
		t.Errorf("the first page: %+v, %v", first, err)
	}
	if diff := cmp.Diff([]string{"new: line"}, filter(t, e, in)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFilterLogEvents(t *testing.T) {
	e := engine(t, t.Context())
	at := func(s int) time.Time { return time.UnixMilli(1_000_000 + int64(s)*1000) }
	for i, l := range []struct{ stream, text string }{
		{"orders/app/1", "listening on 8080"},
		{"orders/app/2", "panic: no database"},
		{"orders/sidecar/1", "ERROR level=warn"},
		{"orders/app/1", "panic: out of memory"},
	} {
		e.Put(group, l.stream, at(i), l.text)
	}
	e.Put("/absent", "s", at(0), "lost")
	ms := func(s int) *int64 { return aws.Int64(at(s).UnixMilli()) }
	for _, c := range []struct {
		name string
		in   cloudwatchlogs.FilterLogEventsInput
		want []string
	}{
		{"all, in the order of time", cloudwatchlogs.FilterLogEventsInput{}, []string{"orders/app/1: listening on 8080", "orders/app/2: panic: no database", "orders/sidecar/1: ERROR level=warn", "orders/app/1: panic: out of memory"}},
		{"a page each", cloudwatchlogs.FilterLogEventsInput{Limit: aws.Int32(1), FilterPattern: aws.String("panic")}, []string{"orders/app/2: panic: no database", "orders/app/1: panic: out of memory"}},
		{"prefix", cloudwatchlogs.FilterLogEventsInput{LogStreamNamePrefix: aws.String("orders/sidecar")}, []string{"orders/sidecar/1: ERROR level=warn"}},
		{"streams", cloudwatchlogs.FilterLogEventsInput{LogStreamNames: []string{"orders/app/2"}}, []string{"orders/app/2: panic: no database"}},
		{"both ends are in", cloudwatchlogs.FilterLogEventsInput{StartTime: ms(1), EndTime: ms(2)}, []string{"orders/app/2: panic: no database", "orders/sidecar/1: ERROR level=warn"}},
		{"every term", cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String("panic memory")}, []string{"orders/app/1: panic: out of memory"}},
		{"phrase", cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String(`"panic: no"`)}, []string{"orders/app/2: panic: no database"}},
		{"without", cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String(`panic -memory`)}, []string{"orders/app/2: panic: no database"}},
		{"either", cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String(`?listening ?ERROR`)}, []string{"orders/app/1: listening on 8080", "orders/sidecar/1: ERROR level=warn"}},
		{"case counts", cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String(`error`)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, filter(t, e, c.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, in := range map[string]cloudwatchlogs.FilterLogEventsInput{
		"group that is not there":  {LogGroupName: aws.String("/absent")},
		"stream that is not there": {LogGroupName: aws.String(group), LogStreamNames: []string{"x"}},
		"JSON pattern, open":       {LogGroupName: aws.String(group), FilterPattern: aws.String(`{ $.level = "error"`)},
		"JSON pattern, selector":   {LogGroupName: aws.String(group), FilterPattern: aws.String(`{ level = "error" }`)},
		"JSON pattern, no number":  {LogGroupName: aws.String(group), FilterPattern: aws.String(`{ $.n > high }`)},
		"columns":                  {LogGroupName: aws.String(group), FilterPattern: aws.String(`[ip, user]`)},
		"open quote":               {LogGroupName: aws.String(group), FilterPattern: aws.String(`"panic`)},
		"unquoted punctuation":     {LogGroupName: aws.String(group), FilterPattern: aws.String(`panic:`)},
		"foreign token":            {LogGroupName: aws.String(group), NextToken: aws.String("!")},
		"unmask":                   {LogGroupName: aws.String(group), Unmask: true},
	} {
		if _, err := e.FilterLogEvents(t.Context(), &in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEventsAreVisibleAfterTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, t.Context())
		e.SetDelay(30 * time.Second)
		e.Put(group, "s", time.Now(), "late")
		time.Sleep(30*time.Second - time.Millisecond)
		if got := filter(t, e, cloudwatchlogs.FilterLogEventsInput{}); got != nil {
			t.Errorf("too early: %v", got)
		}
		time.Sleep(time.Millisecond)
		if got := filter(t, e, cloudwatchlogs.FilterLogEventsInput{}); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

// Reading forward from the head meets every event once, in order; the token that repeats is the end.
func TestGetLogEventsReadsAStreamOnce(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		e := engine(t, ctx)
		n := rapid.IntRange(0, 12).Draw(t, "events")
		for i := range n {
			e.Put(group, "s", time.UnixMilli(int64(rapid.IntRange(0, 3).Draw(t, "time"))), fmt.Sprint(i))
		}
		if n == 0 {
			e.Put(group, "s", time.UnixMilli(0), "one")
			n = 1
		}
		in := &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(group), LogStreamName: aws.String("s"), StartFromHead: aws.Bool(true),
			Limit: aws.Int32(int32(rapid.IntRange(1, 5).Draw(t, "limit"))),
		}
		seen, last := map[string]bool{}, int64(0)
		for calls := 0; ; calls++ {
			out, err := e.GetLogEvents(ctx, in)
			if err != nil || calls > n+1 {
				t.Fatalf("call %d: %v", calls, err)
			}
			for _, v := range out.Events {
				if seen[*v.Message] || *v.Timestamp < last {
					t.Fatalf("event %s at %d after %d", *v.Message, *v.Timestamp, last)
				}
				seen[*v.Message], last = true, *v.Timestamp
			}
			if in.NextToken != nil && *in.NextToken == *out.NextForwardToken {
				break
			}
			in.NextToken = out.NextForwardToken
		}
		if len(seen) != n {
			t.Fatalf("%d events of %d", len(seen), n)
		}
	})
}

func TestGetLogEventsFromTheEnd(t *testing.T) {
	e := engine(t, t.Context())
	for i := range 5 {
		e.Put(group, "s", time.UnixMilli(int64(i)), fmt.Sprint(i))
	}
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String("s"), Limit: aws.Int32(2)}
	var got []string
	for range 4 {
		out, err := e.GetLogEvents(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		var page []string
		for _, v := range out.Events {
			page = append(page, *v.Message)
		}
		got = append(got, strings.Join(page, ""))
		in.NextToken = out.NextBackwardToken
	}
	if diff := cmp.Diff([]string{"34", "12", "0", ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPutLogEvents(t *testing.T) {
	e := engine(t, t.Context())
	put := func(stream string, events ...types.InputLogEvent) error {
		_, err := e.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String(group), LogStreamName: &stream, LogEvents: events})
		return err
	}
	event := func(at int64, text string) types.InputLogEvent {
		return types.InputLogEvent{Timestamp: &at, Message: &text}
	}
	if err := put("s", event(1, "x")); err == nil {
		t.Error("a stream must be made first")
	}
	if _, err := e.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(group), LogStreamName: aws.String("s")}); err != nil {
		t.Fatal(err)
	}
	if err := put("s", event(2, "x"), event(1, "y")); err == nil {
		t.Error("events must be in the order of time")
	}
	if err := put("s"); err == nil {
		t.Error("a batch must not be empty")
	}
	if err := put("s", event(1, "x"), event(2, "y")); err != nil {
		t.Error(err)
	}
	out, err := e.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String(group), OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)})
	if err != nil || len(out.LogStreams) != 1 || *out.LogStreams[0].LastEventTimestamp != 2 {
		t.Errorf("streams: %v, %v", out, err)
	}
}
