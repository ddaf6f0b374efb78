package wire

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

// sdkServices pairs each service with the SDK's client, whose methods say which operations AWS has.
// outOfReach lists the operations that this package does not carry: unions of operations that the account
// does not model, and event streams, of which there are no snapshots.
var sdkServices = []struct {
	service    Service
	client     any
	module     string
	outOfReach []string
}{
	{ECS(nil), &ecs.Client{}, "ecs", nil},
	{CloudWatch(nil), &cloudwatch.Client{}, "cloudwatch", nil},
	{Logs(nil), &cloudwatchlogs.Client{}, "cloudwatchlogs", []string{
		"GetIntegration", "GetLogObject", "PutIntegration", "StartLiveTail",
	}},
	{ECR(nil), &ecr.Client{}, "ecr", nil},
	{ELB(nil), &elasticloadbalancingv2.Client{}, "elasticloadbalancingv2", nil},
	{CloudFormation(nil), &cloudformation.Client{}, "cloudformation", nil},
	{SecretsManager(nil), &secretsmanager.Client{}, "secretsmanager", nil},
	{SSM(nil), &ssm.Client{}, "ssm", []string{
		"CreateCloudConnector", "GetCloudConnector", "GetExecutionPreview", "ListNodes", "StartExecutionPreview",
		"UpdateCloudConnector",
	}},
	{STS(nil), &sts.Client{}, "sts", nil},
	{SQS(nil), &sqs.Client{}, "sqs", nil},
	{EventBridge(nil), &eventbridge.Client{}, "eventbridge", nil},
	{DynamoDB(nil), &dynamodb.Client{}, "dynamodb", nil},
}

// TestSDKSnapshots holds the codec against the SDK's own golden requests and answers, for every operation
// of every service: what the SDK writes is read without a loss, and written back the same.
func TestSDKSnapshots(t *testing.T) {
	for _, s := range sdkServices {
		t.Run(s.module, func(t *testing.T) {
			dir := moduleDir(t, "github.com/aws/aws-sdk-go-v2/service/"+s.module)
			c, err := newCodec(s.service)
			if err != nil {
				t.Fatal(err)
			}
			var refused []string
			requests := 0
			for name, ops := range clientOperations(s.client) {
				if c.check(ops.input, map[reflect.Type]bool{}) != nil || c.check(ops.output, map[reflect.Type]bool{}) != nil {
					refused = append(refused, name)
					continue
				}
				path := filepath.Join(dir, "request_snapshot", name+".request.snap")
				if _, err := os.Stat(path); os.IsNotExist(err) {
					refused = append(refused, name)
					continue
				}
				requests++
				checkRequest(t, s.service, c, name, ops.input, path)
				path = filepath.Join(dir, "response_snapshot", name+".response.snap")
				if _, err := os.Stat(path); err == nil {
					checkResponse(t, s.service, c, ops.output, path)
				}
			}
			slices.Sort(refused)
			slices.Sort(s.outOfReach)
			if diff := cmp.Diff(s.outOfReach, refused); diff != "" {
				t.Errorf("operations that are not carried or have no snapshot (-listed +found):\n%s", diff)
			}
			if requests == 0 {
				t.Error("no snapshot was read")
			}
		})
	}
}

func checkRequest(t *testing.T, s Service, c *codec, op string, input reflect.Type, path string) {
	t.Helper()
	m := &Mux{services: map[string]*mounted{}, targets: map[string]*mounted{}, versions: map[string][]*mounted{}}
	mt := &mounted{Service: s, codec: c}
	m.services[s.Name], m.targets[s.Target], m.versions[s.Version] = mt, mt, []*mounted{mt}

	urlPath, header, body := readSnapshot(t, path)
	got, err := m.route(urlPath, header, body)
	if err != nil || got.service != mt || got.operation != op {
		t.Errorf("%s: routed to %s of %v: %v", path, got.operation, got.service, err)
		return
	}
	tree, err := got.protocol.input(body)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	in := reflect.New(input)
	if err := c.decode(in.Elem(), tree, ""); err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	if _, isForm := tree.(*form); isForm {
		return // requests in query form are never written by this package
	}
	back := rewrite(t, got.protocol, c, op, in)
	if diff := cmp.Diff(tree, back, sameNumber); diff != "" {
		t.Errorf("%s: read and written back it differs (-want +got):\n%s", path, diff)
	}
}

func checkResponse(t *testing.T, s Service, c *codec, output reflect.Type, path string) {
	t.Helper()
	_, header, body := readSnapshot(t, path)
	var p protocol = jsonProtocol{version: "1.1"}
	if header.Get("Smithy-Protocol") != "" {
		p = cborProtocol{}
	}
	tree, err := p.input(body)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	out := reflect.New(output)
	if err := c.decode(out.Elem(), tree, ""); err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	if diff := cmp.Diff(tree, rewrite(t, p, c, s.Name, out), sameNumber); diff != "" {
		t.Errorf("%s: read and written back it differs (-want +got):\n%s", path, diff)
	}
}

func rewrite(t *testing.T, p protocol, c *codec, op string, v reflect.Value) any {
	t.Helper()
	body, _ := p.output(c, op, v, "id", http.Header{})
	tree, err := p.input(body)
	if err != nil {
		t.Fatalf("%s: what this package writes cannot be read: %v", op, err)
	}
	return tree
}

// sameNumber lets 1 and 1.0 be one number: both forms carry the same value.
var sameNumber = cmp.Options{
	cmp.Comparer(func(a, b json.Number) bool {
		x, errX := a.Float64()
		y, errY := b.Float64()
		return errX == nil && errY == nil && x == y
	}),
}

type operationTypes struct{ input, output reflect.Type }

func clientOperations(client any) map[string]operationTypes {
	out := map[string]operationTypes{}
	v := reflect.TypeOf(client)
	for i := range v.NumMethod() {
		m := v.Method(i)
		if m.Type.NumIn() == 4 && m.Type.In(1) == reflect.TypeFor[context.Context]() && m.Type.NumOut() == 2 &&
			m.Type.In(2).Kind() == reflect.Pointer && m.Type.In(2).Elem().Name() == m.Name+"Input" {
			out[m.Name] = operationTypes{m.Type.In(2).Elem(), m.Type.Out(0).Elem()}
		}
	}
	return out
}

// readSnapshot takes apart: first line, blank line, headers, blank line, body.
func readSnapshot(t *testing.T, path string) (urlPath string, h http.Header, body []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(b), "\n")
	headers, text, _ := strings.Cut(strings.TrimPrefix(rest, "\n"), "\n\n")
	h = http.Header{}
	for line := range strings.SplitSeq(headers, "\n") {
		if k, v, ok := strings.Cut(line, ": "); ok {
			h.Set(k, v)
		}
	}
	if _, p, ok := strings.Cut(head, " "); ok {
		urlPath = p
	}
	if u, err := url.Parse(urlPath); err == nil {
		urlPath = u.Path
	}
	return urlPath, h, []byte(text)
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("where is module %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}
