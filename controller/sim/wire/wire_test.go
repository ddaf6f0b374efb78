package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/canteen/deploy/controller/sim/wire"
)

// echo answers with what it was given, or with err.
type echo struct {
	err     error
	seen    any
	updates atomic.Int32
}

func (e *echo) DescribeServices(_ context.Context, in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
	e.seen = in
	at := time.Unix(1619952106, 55e6).UTC()
	return &ecs.DescribeServicesOutput{
		Services: []ecstypes.Service{{
			ServiceName: aws.String(in.Services[0]), DesiredCount: 2, CreatedAt: &at,
			Deployments:   []ecstypes.Deployment{{Id: aws.String("ecs-svc/1"), RolloutState: ecstypes.DeploymentRolloutStateCompleted}},
			LoadBalancers: []ecstypes.LoadBalancer{},
		}},
		Failures: []ecstypes.Failure{},
	}, e.err
}

func (e *echo) UpdateService(_ context.Context, in *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
	e.seen = in
	e.updates.Add(1)
	return &ecs.UpdateServiceOutput{Service: &ecstypes.Service{ServiceName: in.Service}}, e.err
}

type echoELB struct {
	err  error
	seen any
}

func (e *echoELB) DescribeTargetHealth(_ context.Context, in *elasticloadbalancingv2.DescribeTargetHealthInput) (*elasticloadbalancingv2.DescribeTargetHealthOutput, error) {
	e.seen = in
	var out []elbtypes.TargetHealthDescription
	for _, t := range in.Targets {
		out = append(out, elbtypes.TargetHealthDescription{
			Target:       &t,
			TargetHealth: &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumUnhealthy, Description: aws.String("a < b & c")},
		})
	}
	return &elasticloadbalancingv2.DescribeTargetHealthOutput{TargetHealthDescriptions: out}, e.err
}

type echoAlarms struct {
	err  error
	seen any
}

func (e *echoAlarms) DescribeAlarms(_ context.Context, in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	e.seen = in
	at := time.Unix(1700000000, 0).UTC()
	var out []cwtypes.MetricAlarm
	for _, n := range in.AlarmNames {
		out = append(out, cwtypes.MetricAlarm{
			AlarmName: &n, StateValue: cwtypes.StateValueAlarm, StateUpdatedTimestamp: &at,
			Threshold: aws.Float64(-0.5), EvaluationPeriods: aws.Int32(3),
		})
	}
	return &cloudwatch.DescribeAlarmsOutput{MetricAlarms: out}, e.err
}

func (e *echoAlarms) PutMetricAlarm(_ context.Context, in *cloudwatch.PutMetricAlarmInput) (*cloudwatch.PutMetricAlarmOutput, error) {
	e.seen = in
	return &cloudwatch.PutMetricAlarmOutput{}, e.err
}

type bench struct {
	mux    *wire.Mux
	ecs    *echo
	elb    *echoELB
	alarms *echoAlarms
}

func newBench(t *testing.T, mw ...wire.Middleware) bench {
	t.Helper()
	b := bench{ecs: &echo{}, elb: &echoELB{}, alarms: &echoAlarms{}}
	mux, err := wire.New(mw, wire.ECS(b.ecs), wire.ELB(b.elb), wire.CloudWatch(b.alarms))
	if err != nil {
		t.Fatal(err)
	}
	b.mux = mux
	return b
}

func (b bench) config() aws.Config {
	return aws.Config{
		Region: "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "none"}, nil
		}),
		HTTPClient:       &http.Client{Transport: b.mux.RoundTripper()},
		RetryMaxAttempts: 1,
	}
}

func TestSDKClientsRoundTrip(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()

	t.Run("awsJson", func(t *testing.T) {
		client := ecs.NewFromConfig(b.config())
		out, err := client.DescribeServices(ctx, &ecs.DescribeServicesInput{
			Cluster: aws.String("c"), Services: []string{"orders"}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
		})
		if err != nil {
			t.Fatal(err)
		}
		want, _ := b.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Services: []string{"orders"}})
		same(t, want, out)
		if len(out.Services[0].LoadBalancers) != 0 || out.Services[0].LoadBalancers == nil {
			t.Errorf("an empty list must stay apart from an absent one, got %#v", out.Services[0].LoadBalancers)
		}

		in := &ecs.UpdateServiceInput{
			Service: aws.String("orders"), DesiredCount: aws.Int32(0), LoadBalancers: []ecstypes.LoadBalancer{},
			ForceNewDeployment: true,
		}
		if _, err := client.UpdateService(ctx, in); err != nil {
			t.Fatal(err)
		}
		same(t, in, b.ecs.seen)
	})
	t.Run("awsQuery", func(t *testing.T) {
		in := &elasticloadbalancingv2.DescribeTargetHealthInput{
			TargetGroupArn: aws.String("arn:tg"),
			Targets:        []elbtypes.TargetDescription{{Id: aws.String("10.0.0.1"), Port: aws.Int32(8080)}, {Id: aws.String("10.0.0.2")}},
		}
		out, err := elasticloadbalancingv2.NewFromConfig(b.config()).DescribeTargetHealth(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		same(t, in, b.elb.seen)
		want, _ := b.elb.DescribeTargetHealth(ctx, in)
		same(t, want, out)
	})
	t.Run("RPC v2 CBOR", func(t *testing.T) {
		client := cloudwatch.NewFromConfig(b.config())
		out, err := client.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"a", "b"}, MaxRecords: aws.Int32(7)})
		if err != nil {
			t.Fatal(err)
		}
		want, _ := b.alarms.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"a", "b"}})
		same(t, want, out)

		in := &cloudwatch.PutMetricAlarmInput{
			AlarmName: aws.String("x"), Threshold: aws.Float64(1.5), EvaluationPeriods: aws.Int32(1),
			ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, ActionsEnabled: aws.Bool(false),
		}
		if _, err := client.PutMetricAlarm(ctx, in); err != nil {
			t.Fatal(err)
		}
		same(t, in, b.alarms.seen)
	})
}

func TestErrorsReachClientsTyped(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	b.ecs.err = &ecstypes.ConflictException{Message: aws.String("other parameters"), ResourceIds: []string{"arn:task"}}
	b.elb.err = &elbtypes.TargetGroupNotFoundException{Message: aws.String("gone <away>")}
	b.alarms.err = &cwtypes.InvalidNextToken{Message: aws.String("bad token")}

	_, err := ecs.NewFromConfig(b.config()).UpdateService(ctx, &ecs.UpdateServiceInput{Service: aws.String("s")})
	conflict, ok := errors.AsType[*ecstypes.ConflictException](err)
	if !ok || conflict.ErrorMessage() != "other parameters" || !cmp.Equal(conflict.ResourceIds, []string{"arn:task"}) {
		t.Errorf("ecs: got %v", err)
	}
	_, err = elasticloadbalancingv2.NewFromConfig(b.config()).DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String("x")})
	if gone, ok := errors.AsType[*elbtypes.TargetGroupNotFoundException](err); !ok || gone.ErrorMessage() != "gone <away>" {
		t.Errorf("elb: got %v", err)
	}
	_, err = cloudwatch.NewFromConfig(b.config()).DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{})
	if token, ok := errors.AsType[*cwtypes.InvalidNextToken](err); !ok || token.ErrorMessage() != "bad token" {
		t.Errorf("cloudwatch: got %v", err)
	}

	b.ecs.err = &ecstypes.ServerException{Message: aws.String("try later")}
	_, err = ecs.NewFromConfig(b.config()).UpdateService(ctx, &ecs.UpdateServiceInput{Service: aws.String("s")})
	if r, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); !ok || r.HTTPStatusCode() != http.StatusInternalServerError {
		t.Errorf("a server fault must be a 500, got %v", err)
	}
	if r, ok := errors.AsType[interface {
		error
		ServiceRequestID() string
	}](err); !ok || r.ServiceRequestID() == "" {
		t.Errorf("no request id in %v", err)
	}
}

func TestWhatIsNotModelledIsRefusedByName(t *testing.T) {
	b := newBench(t)
	server := httptest.NewServer(b.mux)
	defer server.Close()

	type request struct{ path, target, contentType, authorization, protocol, body string }
	post := func(t *testing.T, r request) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{
			"X-Amz-Target": r.target, "Content-Type": r.contentType, "Authorization": r.authorization, "Smithy-Protocol": r.protocol,
		} {
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Header.Get("X-Amzn-Requestid") == "" || resp.Header.Get("Date") == "" {
			t.Errorf("headers lack request id or date: %v", resp.Header)
		}
		return resp.StatusCode, string(body)
	}
	const (
		ecsTarget = "AmazonEC2ContainerServiceV20141113."
		form      = "application/x-www-form-urlencoded; charset=utf-8"
	)
	scope := func(s string) string {
		return "AWS4-HMAC-SHA256 Credential=AK/20261101/eu-central-1/" + s + "/aws4_request, SignedHeaders=host, Signature=0"
	}
	for _, c := range []struct {
		name string
		in   request
		want string
	}{
		{"operation, json", request{target: ecsTarget + "CreateTaskSet", body: "{}"}, `{"__type":"UnknownOperationException","message":"ecs operation CreateTaskSet is not modelled by this account"}`},
		{"service, json", request{target: "DynamoDB_20120810.GetItem", body: "{}"}, "service DynamoDB_20120810 is not modelled by this account (asked for GetItem)"},
		{"operation, query", request{contentType: form, body: "Action=DeleteRule&Version=2015-12-01"}, "elasticloadbalancing operation DeleteRule is not modelled"},
		{"service, query", request{contentType: form, body: "Action=ListUsers&Version=2010-05-08", authorization: scope("iam")}, "service iam is not modelled by this account (asked for ListUsers)"},
		{"version of another service", request{contentType: form, body: "Action=X&Version=2015-12-01", authorization: scope("iam")}, "service iam is not modelled"},
		{"operation, cbor", request{path: "/service/GraniteServiceVersion20100801/operation/PutDashboard", protocol: "rpc-v2-cbor"}, "monitoring operation PutDashboard is not modelled"},
		{"member, json", request{target: ecsTarget + "UpdateService", body: `{"service":"s","deploymentConfiguration":{"speed":1}}`}, "unknown member deploymentConfiguration.speed"},
		{"member in another case", request{target: ecsTarget + "UpdateService", body: `{"Service":"s"}`}, "unknown member Service"},
		{"member, query", request{contentType: form, body: "Action=DescribeTargetHealth&Version=2015-12-01&Targets.member.1.Colour=red"}, "unknown member Targets[0].Colour"},
		{"gap in a list", request{contentType: form, body: "Action=DescribeTargetHealth&Version=2015-12-01&Targets.member.2.Id=x"}, "numbers must run from 1 without a gap"},
		{"wrong type", request{target: ecsTarget + "UpdateService", body: `{"service":"s","desiredCount":"two"}`}, "desiredCount must be an integer of 32 bits"},
		{"too large", request{target: ecsTarget + "UpdateService", body: `{"desiredCount":3000000000}`}, "desiredCount must be an integer of 32 bits"},
		{"not json", request{target: ecsTarget + "UpdateService", body: `{`}, "the body is not JSON"},
		{"nothing known", request{body: "hello"}, "is none of RPC v2 CBOR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := post(t, c.in)
			if status != http.StatusBadRequest || !strings.Contains(body, c.want) {
				t.Errorf("got %d %s\nwant 400 with %s", status, body, c.want)
			}
		})
	}
}

// CloudWatch is spoken in three ways by clients that are in use: botocore's is JSON 1.0.
func TestCloudWatchInJSONAndQuery(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ name, header, value, body, want string }{
		{"json", "X-Amz-Target", "GraniteServiceVersion20100801.DescribeAlarms", `{"AlarmNames":["a"]}`,
			`{"MetricAlarms":[{"AlarmName":"a","EvaluationPeriods":3,"StateUpdatedTimestamp":1700000000,"StateValue":"ALARM","Threshold":-0.5}]}`},
		{"query", "Content-Type", "application/x-www-form-urlencoded", "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=a",
			`<DescribeAlarmsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><DescribeAlarmsResult><MetricAlarms><member><AlarmName>a</AlarmName>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://local/", bytes.NewBufferString(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(c.header, c.value)
			resp, err := b.mux.RoundTripper().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), c.want) {
				t.Errorf("got %d %s\nwant %s", resp.StatusCode, body, c.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults wire.Faults
		b := newBench(t, faults.Middleware())
		client := ecs.NewFromConfig(b.config())
		call := func(ctx context.Context) error {
			_, err := client.UpdateService(ctx, &ecs.UpdateServiceInput{Service: aws.String("s")})
			return err
		}
		code := func(err error) string {
			if api, ok := errors.AsType[smithy.APIError](err); ok {
				return api.ErrorCode()
			}
			return fmt.Sprint(err)
		}

		faults.Add(wire.Fault{Service: "ecs", Operation: "UpdateService", From: 2, Times: 1, Before: wire.Throttled()})
		if err := call(t.Context()); err != nil {
			t.Errorf("first call: %v", err)
		}
		b.ecs.seen = nil
		if got := code(call(t.Context())); got != "ThrottlingException" || b.ecs.seen != nil {
			t.Errorf("second call: got %s, effect %v; want a throttle without effect", got, b.ecs.seen)
		}
		if err := call(t.Context()); err != nil {
			t.Errorf("third call: %v", err)
		}

		faults.Clear()
		b.ecs.seen = nil
		faults.Add(wire.Fault{Operation: "UpdateService", After: wire.ErrResponseLost})
		if err := call(t.Context()); err == nil || !errors.Is(err, wire.ErrResponseLost) || b.ecs.seen == nil {
			t.Errorf("lost response: got %v, effect %v; want a broken connection and the effect", err, b.ecs.seen)
		}

		faults.Clear()
		b.ecs.seen = nil
		faults.Add(wire.Fault{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || b.ecs.seen != nil || time.Since(began) != time.Minute {
			t.Errorf("delay: got %v after %s, effect %v", err, time.Since(began), b.ecs.seen)
		}

		faults.Clear()
		faults.Add(wire.Fault{After: &wire.StatusError{Status: 503, Code: "ServiceUnavailable", Message: "busy"}})
		if got := code(call(t.Context())); got != "ServiceUnavailable" {
			t.Errorf("503: got %s", got)
		}
	})
}

func TestLostResponseOverSockets(t *testing.T) {
	var faults wire.Faults
	b := newBench(t, faults.Middleware())
	server := httptest.NewServer(b.mux)
	defer server.Close()
	faults.Add(wire.Fault{After: wire.ErrResponseLost})
	cfg := b.config()
	cfg.BaseEndpoint, cfg.HTTPClient = aws.String(server.URL), server.Client()
	_, err := ecs.NewFromConfig(cfg).UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("s")})
	if !errors.Is(err, io.EOF) || b.ecs.updates.Load() != 1 {
		t.Errorf("got %v, %d effects; want a connection closed after one effect", err, b.ecs.updates.Load())
	}
}

type notAService struct{}

func (notAService) Hello(context.Context) error { return nil }

func TestMountRefusesAValueWithoutOperations(t *testing.T) {
	if _, err := wire.New(nil, wire.ECS(notAService{})); err == nil || !strings.Contains(err.Error(), "has no method of the form") {
		t.Errorf("got %v", err)
	}
}

// What is found out about a service once is used for those of the same shape only.
func TestServicesOfAnotherShapeSpeakOtherwise(t *testing.T) {
	for _, lowerCamel := range []bool{true, false, true} {
		service := wire.ECS(&echo{})
		service.LowerCamel = lowerCamel
		mux, err := wire.New(nil, service)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ecs.NewFromConfig(bench{mux: mux}.config()).DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"orders"}})
		if understood := err == nil; understood != lowerCamel {
			t.Errorf("names that begin with a lower-case letter %v: the SDK's request gets %v", lowerCamel, err)
		}
	}
}

func BenchmarkDescribeServicesThroughSDK(b *testing.B) {
	mux, err := wire.New(nil, wire.ECS(&echo{}))
	if err != nil {
		b.Fatal(err)
	}
	client := ecs.NewFromConfig(bench{mux: mux}.config())
	for b.Loop() {
		if _, err := client.DescribeServices(b.Context(), &ecs.DescribeServicesInput{Services: []string{"orders"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func same(t *testing.T, want, got any) {
	t.Helper()
	unexported := cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && (f.Name() == "noSmithyDocumentSerde" || f.Name() == "ResultMetadata")
	}, cmp.Ignore())
	if diff := cmp.Diff(want, got, unexported, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
