package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// wireFunc answers requests by their operation, in process.
type wireFunc func(operation string, r *http.Request) (*http.Response, error)

func (f wireFunc) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return f(operation, r)
}

func answer(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func refuse(code string) (*http.Response, error) {
	return answer(400, `{"__type":"`+code+`","message":"no"}`)
}

func newClients(f wireFunc, opts Options) *Clients {
	if opts.Jitter == nil {
		opts.Jitter = func() float64 { return 0.5 }
	}
	return New(aws.Config{
		Region: "eu-central-1", HTTPClient: f, Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
	}, opts)
}

func TestReadsAreRepeatedAndWritesNever(t *testing.T) {
	reset := func(string, *http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	}
	tests := map[string]struct {
		wire          wireFunc
		reads, writes int
		sent          bool
	}{
		"throttled": {func(string, *http.Request) (*http.Response, error) { return refuse("ThrottlingException") }, 3, 1, true},
		"server error": {func(string, *http.Request) (*http.Response, error) {
			return answer(500, `{"__type":"ServerException"}`)
		}, 3, 1, true},
		"reset":      {reset, 3, 1, true},
		"quota":      {func(string, *http.Request) (*http.Response, error) { return refuse("LimitExceededException") }, 1, 1, true},
		"validation": {func(string, *http.Request) (*http.Response, error) { return refuse("ClientException") }, 1, 1, true},
		"connection closed": {func(string, *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}, 3, 1, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := map[string]int{}
				c := newClients(func(op string, r *http.Request) (*http.Response, error) {
					seen[op]++
					return tt.wire(op, r)
				}, Options{})
				_, err := c.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"s"}})
				if err == nil || seen["DescribeServices"] != tt.reads {
					t.Errorf("read: %d attempts, error %v; want %d and an error", seen["DescribeServices"], err, tt.reads)
				}
				_, err = c.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("s")})
				if seen["UpdateService"] != tt.writes {
					t.Errorf("write: %d attempts, want %d", seen["UpdateService"], tt.writes)
				}
				var write *WriteError
				if !errors.As(err, &write) || write.Sent != tt.sent || write.Operation != "UpdateService" {
					t.Errorf("write: error %#v, want a WriteError with Sent %t", err, tt.sent)
				}
			})
		})
	}
}

func TestBudgetHoldsRequestsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClients(func(string, *http.Request) (*http.Response, error) { return answer(200, `{}`) },
			Options{Buckets: map[string]Bucket{BucketServiceRead: {Burst: 10, Refill: 5}}, WaitMax: 2 * time.Second})
		from := time.Now()
		for range 4 + 2 { // 40 % of 10 at once, then 40 % of 5 a second
			if _, err := c.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"s"}}); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(from); got < 990*time.Millisecond || got > 1010*time.Millisecond {
			t.Errorf("six requests took %s, want 1s", got)
		}
	})
}

func TestBudgetThatWouldComeTooLateIsAnErrorAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		c := newClients(func(string, *http.Request) (*http.Response, error) { sent++; return answer(200, `{}`) },
			Options{Buckets: map[string]Bucket{BucketServiceModify: {Burst: 1, Refill: 0.01}}, WaitMax: time.Second})
		in := &ecs.UpdateServiceInput{Service: aws.String("s")}
		if _, err := c.ECS.UpdateService(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		_, err := c.ECS.UpdateService(t.Context(), in)
		var budget *BudgetError
		if !errors.As(err, &budget) || budget.Bucket != BucketServiceModify || sent != 1 || time.Since(from) != 0 {
			t.Errorf("error %v after %s with %d sent; want a BudgetError at once and 1 sent", err, time.Since(from), sent)
		}
	})
}

func TestHangingRequestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClients(func(_ string, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, Options{AttemptMax: 3 * time.Second})
		from := time.Now()
		_, err := c.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("s")})
		if !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "no answer within 3s") {
			t.Errorf("error %v, want one that says how long it was waited for", err)
		}
		if time.Since(from) != 3*time.Second {
			t.Errorf("it took %s, want 3s", time.Since(from))
		}
	})
}

func TestUnlistedOperationIsRefused(t *testing.T) {
	c := newClients(func(string, *http.Request) (*http.Response, error) { return answer(200, `{}`) }, Options{})
	if _, err := c.ECS.DeleteService(t.Context(), &ecs.DeleteServiceInput{Service: aws.String("s")}); err == nil {
		t.Error("DeleteService was sent, although no budget lists it")
	}
}

func TestEveryCallHasABucket(t *testing.T) {
	buckets := defaultBuckets()
	for service, operations := range calls() {
		for operation, c := range operations {
			if _, ok := buckets[c.bucket]; !ok {
				t.Errorf("%s %s draws on %q, which has no numbers", service, operation, c.bucket)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		throttled := false
		c := newClients(func(string, *http.Request) (*http.Response, error) {
			if !throttled {
				throttled = true
				return refuse("ThrottlingException")
			}
			return answer(200, `{}`)
		}, Options{Registerer: registry})
		before, err := testutil.GatherAndCount(registry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ECS.ListTasks(t.Context(), &ecs.ListTasksInput{}); err != nil {
			t.Fatal(err)
		}
		want := `
# HELP deploy_aws_throttles_total Requests that AWS refused because of its request rate.
# TYPE deploy_aws_throttles_total counter
deploy_aws_throttles_total{operation="ListTasks",service="ecs"} 1
`
		got := onlyNonZero(t, registry, "deploy_aws_throttles_total")
		if strings.TrimSpace(want) != strings.TrimSpace(got) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if after, _ := testutil.GatherAndCount(registry); after != before {
			t.Errorf("%d series after the first requests, %d before: the labels are not closed", after, before)
		}
	})
}

// onlyNonZero writes the counter's series that are not zero.
func onlyNonZero(t *testing.T, g prometheus.Gatherer, name string) string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		b.WriteString("# HELP " + name + " " + f.GetHelp() + "\n# TYPE " + name + " counter\n")
		for _, m := range f.GetMetric() {
			if m.GetCounter().GetValue() == 0 {
				continue
			}
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			b.WriteString(name + "{" + strings.Join(labels, ",") + "} 1\n")
		}
	}
	return b.String()
}

// A read-only client must not send one writing operation, whatever is in the table of calls: each is built as the SDK does.
func TestReadOnlySendsNoWrite(t *testing.T) {
	sent := map[string]int{}
	c := newClients(func(op string, _ *http.Request) (*http.Response, error) {
		sent[op]++
		return answer(200, `{}`)
	}, Options{ReadOnly: true})
	if _, err := c.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"s"}}); err != nil || sent["DescribeServices"] != 1 {
		t.Errorf("a read: sent %v, error %v", sent, err)
	}
	clear(sent)
	g := newGate(Options{ReadOnly: true}.withDefaults())
	writes := 0
	for service, operations := range calls() {
		for operation, call := range operations {
			err := g.install(service)(middleware.NewStack(operation, smithyhttp.NewStackRequest))
			var refused *ReadOnlyError
			if call.write {
				writes++
			}
			if errors.As(err, &refused) != call.write {
				t.Errorf("%s %s (write: %t): %v", service, operation, call.write, err)
			}
		}
	}
	if writes < 6 {
		t.Errorf("only %d operations count as writes", writes)
	}
	for name, write := range map[string]func() error{
		"UpdateService": func() error {
			_, err := c.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("s")})
			return err
		},
		"RunTask": func() error {
			_, err := c.ECS.RunTask(t.Context(), &ecs.RunTaskInput{TaskDefinition: aws.String("t")})
			return err
		},
		"PutParameter": func() error {
			_, err := c.SSM.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("p"), Value: aws.String("v")})
			return err
		},
	} {
		var refused *ReadOnlyError
		if err := write(); !errors.As(err, &refused) || len(sent) > 0 {
			t.Errorf("%s: sent %v, error %v", name, sent, err)
		}
	}
}
