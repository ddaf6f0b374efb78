package sim_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/canteen/deploy/controller/sim"
)

// FuzzWire: whatever arrives at the account's address, nothing panics, and the answer is a document of the protocol that the
// request speaks: an output, or an error that has a code.
func FuzzWire(f *testing.F) {
	ecs := "AmazonEC2ContainerServiceV20141113."
	for _, r := range []struct{ protocol, path, target, service, body string }{
		{"json", "/", ecs + "DescribeServices", "ecs", `{"cluster":"c","services":["a"]}`},
		{"json", "/", ecs + "RunTask", "ecs", `{"taskDefinition":"x","networkConfiguration":{"awsvpcConfiguration":{"subnets":["s"]}},"overrides":{"containerOverrides":[{"name":"a","command":["b"]}]}}`},
		{"json", "/", ecs + "RegisterTaskDefinition", "ecs", `{"family":"f","containerDefinitions":[{"name":"a","image":"i","environment":[{"name":"k","value":"v"}]}],"cpu":"256","memory":"512","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"]}`},
		{"json", "/", ecs + "Nothing", "ecs", `{}`},
		{"json", "/", "DynamoDB_20120810.PutItem", "dynamodb", `{"TableName":"t","Item":{"pk":{"S":"a"},"sk":{"N":"1"}}}`},
		{"json", "/", "DynamoDB_20120810.TransactWriteItems", "dynamodb", `{"TransactItems":[{"Update":{"TableName":"t","Key":{"pk":{"S":"a"},"sk":{"S":"b"}},"UpdateExpression":"SET #a = :b","ExpressionAttributeNames":{"#a":"a"},"ExpressionAttributeValues":{":b":{"S":"b"}},"ConditionExpression":"attribute_not_exists(pk) OR #a < :b"}}]}`},
		{"json", "/", "Logs_20140328.FilterLogEvents", "logs", `{"logGroupName":"g","filterPattern":"?a ?b","startTime":1}`},
		{"json", "/", "AmazonSSM.GetParameter", "ssm", `{"Name":"/a"}`},
		{"json", "/", "AmazonSQS.ReceiveMessage", "sqs", `{"QueueUrl":"http://local/1/q"}`},
		{"json", "/", "AmazonEC2ContainerRegistry_V20150921.DescribeImages", "ecr", `{"repositoryName":"r","imageIds":[{"imageTag":"t"}]}`},
		{"query", "/", "", "elasticloadbalancing", "Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn=a&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=80"},
		{"query", "/", "", "cloudformation", "Action=DescribeStacks&Version=2010-05-15&StackName=s"},
		{"query", "/1/q", "", "sqs", "Action=SendMessage&Version=2012-11-05&MessageBody=x&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType=String"},
		{"query", "/", "", "", "Action=GetCallerIdentity&Version=2011-06-15"},
		{"query", "/", "", "monitoring", "a.b.c=1&a.b=2&Action=&%zz"},
		{"cbor", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "", "monitoring", "\xbf\x6aAlarmNames\x81\x61a\xff"},
		{"cbor", "/service/x/operation", "", "", "\xbf\xff"},
		{"cbor", "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm", "", "monitoring", "\xa1\x69Threshold\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00"},
	} {
		f.Add(r.protocol, r.path, r.target, r.service, []byte(r.body), uint16(0), false)
	}
	for i := range uint16(len(every(f))) {
		f.Add("", "/", "", "", []byte(`{}`), i+1, false)
	}
	operations := every(f)
	var account *sim.Account
	asked := 0
	f.Cleanup(func() {
		if account != nil {
			_ = account.Close()
		}
	})
	f.Fuzz(func(t *testing.T, protocol, path, target, service string, body []byte, operation uint16, zipped bool) {
		if len(body) > 1<<16 {
			return
		}
		if operation > 0 { // one that exists, since such names are hardly found by lot
			o := operations[int(operation)%len(operations)]
			service = o.service
			if protocol, target = "query", jsonTargets[service]; target != "" {
				protocol, target = "json", target+"."+o.name
			} else {
				body = append([]byte("Action="+o.name+"&Version="+queryVersions[service]+"&"), body...)
			}
		}
		// An account costs more than a request. What it remembers of the requests before is little, and it is made anew now and then.
		if asked++; account == nil || asked%1000 == 0 {
			if account != nil {
				if err := account.Close(); err != nil {
					t.Error(err)
				}
			}
			var err error
			if account, err = sim.New(sim.Config{}); err != nil {
				t.Fatal(err)
			}
		}
		a := account
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // a queue may be waited at for as long as it was asked
		defer cancel()
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body))).WithContext(ctx)
		r.URL.Path = "/" + strings.TrimPrefix(path, "/")
		r.Header["Authorization"] = []string{"AWS4-HMAC-SHA256 Credential=AKID/20000101/eu-central-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"}
		switch protocol {
		case "cbor":
			r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		case "json":
			r.Header["X-Amz-Target"] = []string{target}
		}
		if zipped {
			r.Header.Set("Content-Encoding", "gzip")
		}
		out, err := a.RoundTripper().RoundTrip(r)
		if err != nil {
			if ctx.Err() == nil {
				t.Fatalf("no answer: %v", err)
			}
			return
		}
		answer, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		if out.StatusCode != 200 && (out.StatusCode < 400 || out.StatusCode > 499) {
			t.Errorf("answers %d: %s", out.StatusCode, answer)
		}
		if code, err := codeOf(out.Header.Get("Content-Type"), answer); err != nil || (code == "") != (out.StatusCode == 200) {
			t.Errorf("answers %d with code %q, %v: %q", out.StatusCode, code, err, answer)
		}
	})
}

type oneOperation struct{ service, name string }

// every is each operation of the account, in order.
func every(f *testing.F) []oneOperation {
	a, err := sim.New(sim.Config{})
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	var out []oneOperation
	all := a.Operations()
	for _, service := range slices.Sorted(maps.Keys(all)) {
		for _, name := range all[service] {
			out = append(out, oneOperation{service, name})
		}
	}
	return out
}

// codeOf reads an answer as a client would: the code of an error, empty where it is none.
func codeOf(form string, body []byte) (string, error) {
	switch {
	case strings.HasPrefix(form, "application/cbor"):
		v, err := cbor.Decode(body)
		if err != nil {
			return "", err
		}
		m, ok := v.(cbor.Map)
		if !ok {
			return "", errors.New("it is no map")
		}
		code, _ := m["__type"].(cbor.String)
		return string(code), nil
	case strings.HasPrefix(form, "text/xml"):
		var doc struct {
			Code string `xml:"Error>Code"`
		}
		d := xml.NewDecoder(strings.NewReader(string(body)))
		if err := d.Decode(&doc); err != nil {
			return "", err
		}
		_, err := d.Token()
		if !errors.Is(err, io.EOF) {
			return "", errors.New("something follows the document")
		}
		return doc.Code, nil
	case strings.HasPrefix(form, "application/x-amz-json-"):
		var doc struct {
			Type string `json:"__type"`
		}
		if len(body) == 0 {
			return "", nil
		}
		err := json.Unmarshal(body, &doc)
		return doc.Type, err
	}
	return "", errors.New("no form of AWS's: " + form)
}
