package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
)

// jsonTargets are the X-Amz-Target prefixes of the services that speak JSON; the others speak query, by version.
var jsonTargets = map[string]string{
	"ecs": "AmazonEC2ContainerServiceV20141113", "logs": "Logs_20140328", "ecr": "AmazonEC2ContainerRegistry_V20150921", "secretsmanager": "secretsmanager",
	"ssm": "AmazonSSM", "sqs": "AmazonSQS", "events": "AWSEvents", "application-autoscaling": "AnyScaleFrontendService", "monitoring": "GraniteServiceVersion20100801",
	"dynamodb": "DynamoDB_20120810",
}

var queryVersions = map[string]string{"elasticloadbalancing": "2015-12-01", "cloudformation": "2010-05-15", "sts": "2011-06-15"}

// ask sends one operation by hand, past what SDKs check before they send.
func ask(t *testing.T, a *sim.Account, service, operation, body string) (status int, answer string) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			status, answer = 0, fmt.Sprint("it panics: ", p)
		}
	}()
	header := http.Header{}
	if target := jsonTargets[service]; target != "" {
		header.Set("X-Amz-Target", target+"."+operation)
		header.Set("Content-Type", "application/x-amz-json-1.1")
	} else {
		body = "Action=" + operation + "&Version=" + queryVersions[service]
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://local/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20000101/eu-central-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	out, err := a.RoundTripper().RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = out.Body.Close() }()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return out.StatusCode, string(b)
}

// Clients that check nothing before they send are answered, whatever they leave out: with an answer or with an error of the
// client's, and never with a fault of the account.
func TestNothingIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1, Unthrottled: true}, exampleSeed(t))
		for service, operations := range a.Operations() {
			for _, operation := range operations {
				status, answer := ask(t, a, service, operation, "{}")
				if status != http.StatusOK && (status < 400 || status >= 500) {
					t.Errorf("%s %s: %d %s", service, operation, status, answer)
				}
				if strings.HasPrefix(answer, "{") && !json.Valid([]byte(answer)) {
					t.Errorf("%s %s: %s", service, operation, answer)
				}
			}
		}
	})
}

// engines are an account's, by service.
func engines(a *sim.Account) map[string]any {
	return map[string]any{
		"ecs": a.ECS, "elasticloadbalancing": a.ELB, "logs": a.Logs, "monitoring": a.Alarms, "ecr": a.ECR, "cloudformation": a.CFN,
		"secretsmanager": a.Secrets, "ssm": a.SSM, "sqs": a.SQS, "events": a.Events, "application-autoscaling": a.AutoScaling,
		"dynamodb": a.DynamoDB,
	}
}

// without calls f with everything in v taken out once, each by itself, and puts it back. where is its path.
func without(v reflect.Value, where string, f func(where string)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && v.Elem().Kind() == reflect.Struct {
			without(v.Elem(), where, f)
		}
	case reflect.Slice:
		if v.Len() > 0 {
			without(v.Index(0), where+"[0]", f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			member, name := v.Field(i), where+"."+v.Type().Field(i).Name
			if !member.CanSet() || member.IsZero() {
				continue
			}
			without(member, name, f)
			old := reflect.ValueOf(member.Interface())
			member.SetZero()
			f(name)
			member.Set(old)
		}
	}
}

// The account is not brought down by what a request leaves out: every call of TestEveryOperationAnswersTheSDK, made in the state
// that it was made in, without each of its members in turn.
func TestNoMemberIsTakenForGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []*wire.Call
		record := func(next wire.Next) wire.Next {
			return func(ctx context.Context, c *wire.Call) (any, error) {
				made = append(made, c)
				return next(ctx, c)
			}
		}
		a := open(t, sim.Config{Unthrottled: true, Middleware: []wire.Middleware{record}}, exampleSeed(t))
		for _, part := range everyCall {
			part(t, a.AWSConfig())
		}
		callECS(t, a)
		callScaling(t, a.AWSConfig())
		callItems(t, a)
		for n, c := range made {
			if c.Service == "sts" || c.Service == sim.LayerService { // without an engine, or no operation
				continue
			}
			fresh := open(t, sim.Config{Unthrottled: true}, exampleSeed(t))
			addTable(fresh)
			for _, earlier := range made[:n] {
				if engine := engines(fresh)[earlier.Service]; engine != nil {
					calls(t, "replayed "+earlier.Operation, reflect.ValueOf(engine).MethodByName(earlier.Operation), reflect.ValueOf(earlier.Input))
				}
			}
			method := reflect.ValueOf(engines(fresh)[c.Service]).MethodByName(c.Operation)
			without(reflect.ValueOf(c.Input).Elem(), c.Service+" "+c.Operation, func(where string) {
				calls(t, where, method, reflect.ValueOf(c.Input))
			})
			if err := fresh.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// calls calls a method and tells of a panic.
func calls(t *testing.T, what string, method, in reflect.Value) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s panics: %v", what, p)
		}
	}()
	method.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
}
