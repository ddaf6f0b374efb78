package logs_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/google/go-cmp/cmp"
)

func TestJSONPatterns(t *testing.T) {
	e := engine(t, t.Context())
	lines := []string{
		`{"level":"error","latency":120,"user":{"name":"ann"},"tags":["a","b"],"cause":null}`,
		`{"level":"info","latency":20,"ok":true}`,
		`level = error`,
	}
	for i, l := range lines {
		e.Put(group, "s", time.UnixMilli(int64(i)), l)
	}
	for _, c := range []struct {
		pattern string
		want    string // indexes of lines
	}{
		{`{ $.level = "error" }`, "0"}, {`{$.level=error}`, "0"}, {`{ $.level != "error" }`, "1"}, {`{ $.level = "e*r" }`, "0"},
		{`{ $.latency > 20 }`, "0"}, {`{ $.latency >= 20 }`, "0 1"}, {`{ $.latency < 1e2 }`, "1"}, {`{ $.latency = 20.0 }`, "1"},
		{`{ $.user.name = "ann" }`, "0"}, {`{ $.tags[1] = "b" }`, "0"}, {`{ $.cause IS NULL }`, "0"}, {`{ $.ok IS TRUE }`, "1"},
		{`{ $.user NOT EXISTS }`, "1"}, {`{ $.level = "error" && $.latency < 100 }`, ""}, {`{ $.level = "info" || $.latency > 100 }`, "0 1"},
		{`{ ($.level = "info" || $.level = "error") && $.latency > 100 }`, "0"},
		{`?error -info`, "0 2"}, // an optional term next to another counts for nothing
	} {
		var got []string
		for _, l := range filter(t, e, cloudwatchlogs.FilterLogEventsInput{FilterPattern: &c.pattern}) {
			for i, line := range lines {
				if l == "s: "+line {
					got = append(got, fmt.Sprint(i))
				}
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.pattern, got, c.want)
		}
	}
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, t.Context())
		if _, err := e.PutRetentionPolicy(t.Context(), &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String(group), RetentionInDays: aws.Int32(3)}); err != nil {
			t.Fatal(err)
		}
		e.Put(group, "s", time.Now(), "old")
		time.Sleep(48 * time.Hour)
		e.Put(group, "s", time.Now(), "new")
		if got := filter(t, e, cloudwatchlogs.FilterLogEventsInput{}); len(got) != 2 {
			t.Errorf("after two days: %v", got)
		}
		time.Sleep(25 * time.Hour)
		if diff := cmp.Diff([]string{"s: new"}, filter(t, e, cloudwatchlogs.FilterLogEventsInput{})); diff != "" {
			t.Errorf("after three days (-want +got):\n%s", diff)
		}
		out, err := e.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
		if err != nil || *out.LogGroups[0].RetentionInDays != 3 || *out.LogGroups[0].StoredBytes != 29 {
			t.Errorf("group %v, %v", out, err)
		}
		if _, err := e.PutRetentionPolicy(t.Context(), &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String(group), RetentionInDays: aws.Int32(2)}); err == nil {
			t.Error("two days are not among AWS's")
		}
	})
}

// A reader that goes forward is not moved by what is trimmed behind it, and misses nothing that is kept.
func TestGroupsStayBoundedWhileTheyAreRead(t *testing.T) {
	e := engine(t, t.Context())
	e.SetGroupBytes(4000)
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String("a"), StartFromHead: aws.Bool(true)}
	next := 0
	for i := range 1000 {
		e.Put(group, "a", time.UnixMilli(int64(2*i)), fmt.Sprint(i))
		e.Put(group, "b", time.UnixMilli(int64(2*i+1)), strings.Repeat("x", 20))
		if i%10 != 0 {
			continue
		}
		out, err := e.GetLogEvents(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Events {
			if *v.Message != fmt.Sprint(next) {
				t.Fatalf("read %s, want %d", *v.Message, next)
			}
			next++
		}
		in.NextToken = out.NextForwardToken
	}
	out, err := e.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
	if err != nil || *out.LogGroups[0].StoredBytes > 4000 || *out.LogGroups[0].StoredBytes < 2000 {
		t.Errorf("%d bytes, %v", *out.LogGroups[0].StoredBytes, err)
	}
	if got := filter(t, e, cloudwatchlogs.FilterLogEventsInput{}); got[len(got)-2] != "a: 999" {
		t.Errorf("the newest: %v", got[len(got)-2:])
	}
	if _, err := e.DeleteLogStream(t.Context(), &cloudwatchlogs.DeleteLogStreamInput{LogGroupName: aws.String(group), LogStreamName: aws.String("a")}); err != nil {
		t.Error(err)
	}
	if _, err := e.GetLogEvents(t.Context(), in); err == nil {
		t.Error("the stream is gone")
	}
}
