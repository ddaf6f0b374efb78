package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/events"
	"github.com/canteen/deploy/controller/sim/wire"
)

func TestPatterns(t *testing.T) {
	const event = `{"source":"aws.ecs","detail-type":"ECS Task State Change","resources":["arn:a","arn:b"],
		"detail":{"lastStatus":"STOPPED","version":4,"group":"service:orders","stopCode":null,"containers":[{"name":"app","exitCode":0},{"name":"proxy"}],"tags":[]}}`
	for _, c := range []struct {
		name, pattern string
		want          bool
	}{
		{"exact", `{"source":["aws.ecs"]}`, true},
		{"another", `{"source":["aws.ec2"]}`, false},
		{"one of several", `{"source":["aws.ec2","aws.ecs"]}`, true},
		{"all fields must hold", `{"source":["aws.ecs"],"detail-type":["x"]}`, false},
		{"of a list one value must match", `{"resources":["arn:b"]}`, true},
		{"number by value", `{"detail":{"version":[4.0]}}`, true},
		{"a number is no text", `{"detail":{"version":["4"]}}`, false},
		{"null", `{"detail":{"stopCode":[null]}}`, true},
		{"inside a list of objects", `{"detail":{"containers":{"exitCode":[0]}}}`, true},
		{"inside a list of objects, none", `{"detail":{"containers":{"exitCode":[1]}}}`, false},
		{"prefix", `{"detail":{"group":[{"prefix":"service:"}]}}`, true},
		{"suffix", `{"detail":{"group":[{"suffix":":orders"}]}}`, true},
		{"ignore case", `{"detail":{"lastStatus":[{"equals-ignore-case":"stopped"}]}}`, true},
		{"anything-but", `{"detail":{"lastStatus":[{"anything-but":["RUNNING","PENDING"]}]}}`, true},
		{"anything-but it", `{"detail":{"lastStatus":[{"anything-but":"STOPPED"}]}}`, false},
		{"anything-but prefix", `{"detail":{"group":[{"anything-but":{"prefix":"service:"}}]}}`, false},
		{"anything-but needs the field", `{"detail":{"none":[{"anything-but":"x"}]}}`, false},
		{"exists", `{"detail":{"version":[{"exists":true}]}}`, true},
		{"exists not", `{"detail":{"none":[{"exists":false}]}}`, true},
		{"an empty list does not exist", `{"detail":{"tags":[{"exists":false}]}}`, true},
		{"numeric", `{"detail":{"version":[{"numeric":[">",3,"<=",4]}]}}`, true},
		{"numeric not", `{"detail":{"version":[{"numeric":["<",4]}]}}`, false},
		{"either", `{"$or":[{"source":["x"]},{"detail":{"version":[4]}}]}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := events.ParsePattern(c.pattern)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Match([]byte(event)); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
	for _, wrong := range []string{"", "[]", "{}", `{"source":"aws.ecs"}`, `{"source":[]}`, `{"source":[{"wildcard":"*"}]}`, `{"source":[["x"]]}`,
		`{"v":[{"numeric":[">"]}]}`, `{"v":[{"exists":"yes"}]}`, `{"v":["` + strings.Repeat("x", 4096) + `"]}`} {
		if _, err := events.ParsePattern(wrong); err == nil {
			t.Errorf("%.40s: no error", wrong)
		}
	}
}

// queue remembers what came, and refuses as long as refuse says so.
type queue struct {
	mu     sync.Mutex
	got    []string
	refuse error
}

func (q *queue) send(arn, _, body, _ string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse != nil {
		return q.refuse
	}
	var e struct {
		Detail struct{ N int } `json:"detail"`
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return err
	}
	q.got = append(q.got, fmt.Sprint(e.Detail.N))
	return nil
}

func (q *queue) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.got
	q.got = nil
	return out
}

func newEngine(t *testing.T, ctx context.Context, seed uint64, q *queue) *events.Engine {
	t.Helper()
	e := events.New(events.Config{Account: "000000000000", Region: "eu-central-1", Seed: seed, Send: q.send})
	t.Cleanup(e.Close)
	if _, err := e.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["test"]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []types.Target{{Id: aws.String("1"), Arn: aws.String("arn:aws:sqs:eu-central-1:000000000000:q")}}}); err != nil {
		t.Fatal(err)
	}
	return e
}

func publish(e *events.Engine, n int) {
	for i := range n {
		e.Publish(events.Event{At: time.Now(), Source: "test", DetailType: "Test", Detail: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))})
	}
}

func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		e := newEngine(t, t.Context(), 1, q)
		e.SetTrouble(events.Trouble{MinDelay: time.Second, MaxDelay: time.Second})
		publish(e, 1)
		e.Publish(events.Event{At: time.Now(), Source: "other", Detail: json.RawMessage(`{}`)})
		synctest.Wait()
		if got := q.take(); got != nil {
			t.Errorf("too early: %v", got)
		}
		time.Sleep(2 * time.Second)
		if diff := cmp.Diff([]string{"0"}, q.take()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, err := e.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("r")}); err != nil || e.Listening() {
			t.Errorf("disabled: %v, listening %v", err, e.Listening())
		}
		publish(e, 1)
		time.Sleep(2 * time.Second)
		if got := q.take(); got != nil {
			t.Errorf("a disabled rule matched: %v", got)
		}
	})
}

func TestTroubleComesFromTheSeed(t *testing.T) {
	run := func(seed uint64) (got []string) {
		synctest.Test(t, func(t *testing.T) {
			q := &queue{}
			e := newEngine(t, t.Context(), seed, q)
			e.SetTrouble(events.Trouble{MaxDelay: time.Second, Lost: 0.2, Doubled: 0.2, Late: 0.1, LateBy: time.Minute})
			publish(e, 100)
			time.Sleep(2 * time.Minute)
			got = q.take()
		})
		return got
	}
	one := run(1)
	counts := map[string]int{}
	for _, n := range one {
		counts[n]++
	}
	doubled := 0
	for _, n := range counts {
		doubled += n - 1
	}
	if lost := 100 - len(counts); lost < 5 || lost > 40 || doubled < 5 || doubled > 40 || slices.IsSorted(one) {
		t.Errorf("%d lost, %d doubled, in order: %v", lost, doubled, slices.IsSorted(one))
	}
	if diff := cmp.Diff(one, run(1)); diff != "" {
		t.Errorf("the same seed (-first +second):\n%s", diff)
	}
	if cmp.Equal(one, run(2)) {
		t.Error("another seed delivers the same")
	}
}

func TestLostDetailTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		e := newEngine(t, t.Context(), 1, q)
		e.SetTrouble(events.Trouble{LostDetailTypes: []string{"Test"}})
		publish(e, 3)
		time.Sleep(time.Minute)
		if got := q.take(); got != nil {
			t.Errorf("got %v", got)
		}
	})
}

func TestATargetThatIsAwayIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{refuse: &wire.StatusError{Status: 503, Code: "ServiceUnavailable"}}
		e := newEngine(t, t.Context(), 1, q)
		publish(e, 1)
		time.Sleep(10 * time.Second)
		q.mu.Lock()
		q.refuse = nil
		q.mu.Unlock()
		time.Sleep(time.Minute)
		if got := q.take(); len(got) != 1 {
			t.Errorf("got %v", got)
		}
		q.refuse = errors.New("not allowed")
		before := e.Failed()
		publish(e, 1)
		time.Sleep(25 * time.Hour)
		if got := e.Failed() - before; got != 1 {
			t.Errorf("what is not allowed was tried %d times", got)
		}
	})
}

func TestRules(t *testing.T) {
	e := newEngine(t, t.Context(), 1, &queue{})
	ctx := t.Context()
	queueARN := func(n int) *string { return aws.String(fmt.Sprintf("arn:aws:sqs:eu-central-1:000000000000:q%d", n)) }
	var six []types.Target
	for i := range 6 {
		six = append(six, types.Target{Id: aws.String(fmt.Sprint(i)), Arn: queueARN(i)})
	}
	for name, err := range map[string]error{
		"six targets":        second(e.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: six})),
		"lambda":             second(e.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []types.Target{{Id: aws.String("l"), Arn: aws.String("arn:aws:lambda:eu-central-1:000000000000:function:f")}}})),
		"fifo without group": second(e.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []types.Target{{Id: aws.String("f"), Arn: aws.String("arn:aws:sqs:eu-central-1:000000000000:q.fifo")}}})),
		"transformer":        second(e.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []types.Target{{Id: aws.String("i"), Arn: queueARN(1), Input: aws.String("{}")}}})),
		"absent rule":        second(e.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("x"), Targets: six[:1]})),
		"schedule":           second(e.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("s"), ScheduleExpression: aws.String("rate(1 minute)")})),
		"another bus":        second(e.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("s"), EventBusName: aws.String("mine"), EventPattern: aws.String(`{"source":["x"]}`)})),
		"pattern":            second(e.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("s"), EventPattern: aws.String(`{"source":"x"}`)})),
		"targets left":       second(e.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String("r")})),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// A rule that is put again keeps its targets.
	if err := second(e.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["y"]}`)})); err != nil {
		t.Error(err)
	}
	if out, err := e.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: aws.String("r")}); err != nil || len(out.Targets) != 1 {
		t.Errorf("targets %v, %v", out, err)
	}
	if out, err := e.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: aws.String("r"), Ids: []string{"1", "2"}}); err != nil || out.FailedEntryCount != 1 {
		t.Errorf("removed %v, %v", out, err)
	}
	if err := second(e.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String("r")})); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestPutEventsFailsEntryByEntry(t *testing.T) {
	e := newEngine(t, t.Context(), 1, &queue{})
	entry := func(source, detail string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{Source: &source, DetailType: aws.String("t"), Detail: &detail}
	}
	out, err := e.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("test", "{}"), entry("aws.ecs", "{}"), entry("test", "{")}})
	if err != nil || out.FailedEntryCount != 2 {
		t.Fatalf("%v, %v", out, err)
	}
	var got []string
	for _, v := range out.Entries {
		got = append(got, aws.ToString(v.ErrorCode))
	}
	if diff := cmp.Diff([]string{"", "NotAuthorizedForSourceException", "MalformedDetail"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
