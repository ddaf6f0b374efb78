package dynamo_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/ledger/conformance"
)

// TestDynalite holds the ledger to the suite against an implementation of DynamoDB that others wrote: whether keys,
// expressions, numbers, pages and sizes are understood there as here. It knows no transactions; transport makes them of its
// single writes, each with its own condition.
func TestDynalite(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a server of npm's")
	}
	endpoint := startDynalite(t)
	cfg := aws.Config{
		Region: "eu-central-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient: &http.Client{Transport: &transactions{next: http.DefaultTransport}},
	}
	client := dynamodb.NewFromConfig(cfg)
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String(tableName), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange},
		},
	})
	if err == nil {
		err = dynamodb.NewTableExistsWaiter(client).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(tableName)}, time.Minute)
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *place {
		return &place{cfg: cfg, environment: fmt.Sprint("env-", environments.Add(1))}
	}
	conformance.Run(t, func(testing.TB) conformance.Place { return fresh() })
	t.Run("Fencing", func(t *testing.T) { fencing(t, fresh()) })
	t.Run("Lease", func(t *testing.T) { leaseIsACompareAndSwap(t, fresh()) })
}

// startDynalite installs and starts the server, and answers its address.
func startDynalite(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on this machine", tool)
		}
	}
	dir := t.TempDir()
	for _, f := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", "dynalite", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install dynalite here (no registry?): %v\n%s", err, out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	_, port, _ := net.SplitHostPort(address)
	server := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "node_modules", "dynalite", "cli.js"), "--host", "127.0.0.1", "--port", port, "--createTableMs", "1")
	out, err := server.StdoutPipe()
	if err == nil {
		server.Stderr = os.Stderr
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, "listening") {
		t.Fatalf("dynalite says %q: %v", line, err)
	}
	return "http://" + address
}

// transactions carries TransactWriteItems out as single writes, one transaction at a time, and takes those back that
// were made where one of them was refused.
type transactions struct {
	next http.RoundTripper
	mu   sync.Mutex
}

const target = "DynamoDB_20120810."

// action is one write of a transaction, or any of the requests that it becomes.
type action map[string]json.RawMessage

func (x *transactions) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Amz-Target") != target+"TransactWriteItems" {
		return x.next.RoundTrip(r)
	}
	var in struct{ TransactItems []map[string]action }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var undo []func() error
	var reasons []map[string]any
	refused := false
	for _, one := range in.TransactItems {
		for kind, a := range one {
			reason, back, err := x.write(r, kind, a)
			if err != nil {
				return nil, err
			}
			undo = append(undo, back...)
			refused = refused || reason["Code"] != "None"
			reasons = append(reasons, reason)
		}
	}
	if !refused {
		return answer(r, http.StatusOK, map[string]any{})
	}
	for _, back := range slices.Backward(undo) {
		if err := back(); err != nil {
			return nil, err
		}
	}
	return answer(r, http.StatusBadRequest, map[string]any{
		"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "Transaction cancelled", "CancellationReasons": reasons,
	})
}

// write makes one write and answers what AWS would say of it, and how it is taken back.
func (x *transactions) write(r *http.Request, kind string, a action) (reason map[string]any, undo []func() error, err error) {
	operation := map[string]string{"Put": "PutItem", "Delete": "DeleteItem", "Update": "UpdateItem", "ConditionCheck": "UpdateItem"}[kind]
	delete(a, "ReturnValuesOnConditionCheckFailure")
	a["ReturnValues"] = json.RawMessage(`"ALL_OLD"`)
	var out struct {
		Type       string          `json:"__type"`
		Message    string          `json:"message"`
		Attributes json.RawMessage // as they were before
	}
	status, err := x.ask(r, operation, a, &out)
	if err != nil {
		return nil, nil, err
	}
	key := map[string]json.RawMessage{"TableName": a["TableName"], "Key": a["Key"]}
	if kind == "Put" {
		var i map[string]json.RawMessage
		if err := json.Unmarshal(a["Item"], &i); err != nil {
			return nil, nil, err
		}
		key["Key"], _ = json.Marshal(map[string]json.RawMessage{"pk": i["pk"], "sk": i["sk"]})
	}
	switch {
	case status == http.StatusOK:
		return map[string]any{"Code": "None"}, []func() error{func() error {
			if out.Attributes == nil {
				_, err := x.ask(r, "DeleteItem", key, nil)
				return err
			}
			_, err := x.ask(r, "PutItem", map[string]json.RawMessage{"TableName": a["TableName"], "Item": out.Attributes}, nil)
			return err
		}}, nil
	case strings.HasSuffix(out.Type, "#ConditionalCheckFailedException"):
		var found struct{ Item json.RawMessage }
		key["ConsistentRead"] = json.RawMessage("true")
		_, err := x.ask(r, "GetItem", key, &found)
		reason := map[string]any{"Code": "ConditionalCheckFailed"}
		if found.Item != nil {
			reason["Item"] = found.Item
		}
		return reason, nil, err
	}
	return nil, nil, fmt.Errorf("dynalite refuses %s: %s %s", operation, out.Type, out.Message)
}

func (x *transactions) ask(r *http.Request, operation string, in, out any) (int, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.URL.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = r.Header.Clone() // dynalite reads the form of a signature and does not check it
	req.Header.Set("X-Amz-Target", target+operation)
	res, err := x.next.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if out == nil {
		out = &struct{}{}
	}
	return res.StatusCode, json.NewDecoder(res.Body).Decode(out)
}

func answer(r *http.Request, status int, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(b)), ContentLength: int64(len(b)),
	}, err
}
