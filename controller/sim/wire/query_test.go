package wire_test

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// echoSQS keeps what it was asked and answers what it was told to.
type echoSQS struct {
	seen     any
	received *sqs.ReceiveMessageOutput
	err      error
}

func (e *echoSQS) CreateQueue(_ context.Context, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	e.seen = in
	return &sqs.CreateQueueOutput{QueueUrl: aws.String("https://sqs/1/q")}, e.err
}

func (e *echoSQS) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
	e.seen = in
	return &sqs.SendMessageBatchOutput{
		Successful: []types.SendMessageBatchResultEntry{{Id: aws.String("1"), MessageId: aws.String("m"), MD5OfMessageBody: aws.String("5d41")}},
		Failed:     []types.BatchResultErrorEntry{{Id: aws.String("2"), Code: aws.String("InvalidParameterValue"), SenderFault: true}},
	}, e.err
}

func (e *echoSQS) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	e.seen = in
	return e.received, e.err
}

func (e *echoSQS) TagQueue(_ context.Context, in *sqs.TagQueueInput) (*sqs.TagQueueOutput, error) {
	e.seen = in
	return &sqs.TagQueueOutput{}, e.err
}

func (e *echoSQS) ListQueues(_ context.Context, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	e.seen = in
	return &sqs.ListQueuesOutput{QueueUrls: []string{"https://sqs/1/a", "https://sqs/1/b&c"}}, e.err
}

func queues(t *testing.T) (*echoSQS, func(method, path, form string) (int, string)) {
	t.Helper()
	e := &echoSQS{}
	mux, err := wire.New(nil, wire.SQS(e))
	if err != nil {
		t.Fatal(err)
	}
	return e, func(method, path, form string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		b, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(b, new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%s is not XML: %v", b, err)
		}
		return w.Code, string(b)
	}
}

// Requests as https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/ shows them under "Query example".
func TestFlattenedRequests(t *testing.T) {
	e, ask := queues(t)
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(s)}
	}
	const version = "&Version=2012-11-05"
	for _, c := range []struct {
		name, path, form string
		want             any
	}{
		{"maps under their own names", "/",
			"Action=CreateQueue&QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=40&Attribute.2.Name=DelaySeconds&Attribute.2.Value=1&Tag.1.Key=QueueType&Tag.1.Value=Production",
			&sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "40", "DelaySeconds": "1"}, Tags: map[string]string{"QueueType": "Production"}}},
		{"lists of structures that hold maps of structures", "/",
			"Action=SendMessageBatch&QueueUrl=u&SendMessageBatchRequestEntry.1.Id=one&SendMessageBatchRequestEntry.1.MessageBody=a%26b&SendMessageBatchRequestEntry.1.DelaySeconds=45" +
				"&SendMessageBatchRequestEntry.2.Id=two&SendMessageBatchRequestEntry.2.MessageBody=b&SendMessageBatchRequestEntry.2.MessageAttribute.1.Name=k" +
				"&SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.DataType=String&SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.StringValue=v" +
				"&SendMessageBatchRequestEntry.2.MessageAttribute.2.Name=bin&SendMessageBatchRequestEntry.2.MessageAttribute.2.Value.DataType=Binary&SendMessageBatchRequestEntry.2.MessageAttribute.2.Value.BinaryValue=aGVsbG8%3D",
			&sqs.SendMessageBatchInput{QueueUrl: aws.String("u"), Entries: []types.SendMessageBatchRequestEntry{
				{Id: aws.String("one"), MessageBody: aws.String("a&b"), DelaySeconds: 45},
				{Id: aws.String("two"), MessageBody: aws.String("b"), MessageAttributes: map[string]types.MessageAttributeValue{
					"k": text("v"), "bin": {DataType: aws.String("Binary"), BinaryValue: []byte("hello")},
				}},
			}}},
		{"the queue in the path", "/000000000000/q/", "Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=a&MessageAttributeName.2=b&WaitTimeSeconds=3",
			&sqs.ReceiveMessageInput{QueueUrl: aws.String("/000000000000/q"), AttributeNames: []types.QueueAttributeName{"All"}, MessageAttributeNames: []string{"a", "b"}, WaitTimeSeconds: 3}},
		{"the member before the path", "/000000000000/q", "Action=TagQueue&QueueUrl=http%3A%2F%2Fh%2F0%2Fother&Tags.1.Key=a&Tags.1.Value=",
			&sqs.TagQueueInput{QueueUrl: aws.String("http://h/0/other"), Tags: map[string]string{"a": ""}}},
		{"operations that have no queue", "/000000000000/q", "Action=ListQueues&QueueNamePrefix=x", &sqs.ListQueuesInput{QueueNamePrefix: aws.String("x")}},
		{"an empty list", "/000000000000/q", "Action=ReceiveMessage&AttributeName=",
			&sqs.ReceiveMessageInput{QueueUrl: aws.String("/000000000000/q"), AttributeNames: []types.QueueAttributeName{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.received = &sqs.ReceiveMessageOutput{}
			if status, body := ask(http.MethodPost, c.path, c.form+version); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
			same(t, c.want, e.seen)
			e.seen = nil
			if status, body := ask(http.MethodGet, c.path+"?X-Amz-Signature=0&"+c.form+version, ""); status != http.StatusOK {
				t.Fatalf("by GET: %d %s", status, body)
			}
			same(t, c.want, e.seen)
		})
	}
}

func TestFlattenedAnswers(t *testing.T) {
	e, ask := queues(t)
	e.received = &sqs.ReceiveMessageOutput{Messages: []types.Message{
		{MessageId: aws.String("m1"), Body: aws.String("a < b"), Attributes: map[string]string{"SentTimestamp": "1", "ApproximateReceiveCount": "2"}},
		{MessageId: aws.String("m2"), MessageAttributes: map[string]types.MessageAttributeValue{"k": {DataType: aws.String("Binary"), BinaryValue: []byte("hello")}}},
	}}
	for _, c := range []struct{ name, form, want string }{
		{"lists and maps", "Action=ReceiveMessage&QueueUrl=u", "<ReceiveMessageResult><Message>" +
			"<Attribute><Name>ApproximateReceiveCount</Name><Value>2</Value></Attribute><Attribute><Name>SentTimestamp</Name><Value>1</Value></Attribute>" +
			"<Body>a &lt; b</Body><MessageId>m1</MessageId></Message><Message>" +
			"<MessageAttribute><Name>k</Name><Value><DataType>Binary</DataType><BinaryValue>aGVsbG8=</BinaryValue></Value></MessageAttribute>" +
			"<MessageId>m2</MessageId></Message></ReceiveMessageResult>"},
		{"two lists of one type apart", "Action=SendMessageBatch&QueueUrl=u", "<SendMessageBatchResult><BatchResultErrorEntry><Code>InvalidParameterValue</Code><Id>2</Id>" +
			"<SenderFault>true</SenderFault></BatchResultErrorEntry><SendMessageBatchResultEntry><Id>1</Id><MD5OfMessageBody>5d41</MD5OfMessageBody>" +
			"<MessageId>m</MessageId></SendMessageBatchResultEntry></SendMessageBatchResult>"},
		{"lists of text", "Action=ListQueues", "<ListQueuesResult><QueueUrl>https://sqs/1/a</QueueUrl><QueueUrl>https://sqs/1/b&amp;c</QueueUrl></ListQueuesResult>"},
	} {
		status, body := ask(http.MethodPost, "/", c.form+"&Version=2012-11-05")
		if status != http.StatusOK || !strings.Contains(body, c.want) || !strings.Contains(body, `Response xmlns="http://queue.amazonaws.com/doc/2012-11-05/">`) {
			t.Errorf("%s: %d %s\nwant %s", c.name, status, body, c.want)
		}
	}
}

func TestFlattenedRefusals(t *testing.T) {
	_, ask := queues(t)
	for _, c := range []struct{ name, form, want string }{
		{"a gap", "Action=CreateQueue&QueueName=q&Attribute.2.Name=a&Attribute.2.Value=b", "numbers must run from 1 without a gap"},
		{"half an entry", "Action=CreateQueue&QueueName=q&Attribute.1.Name=a", "a map&#39;s entry has Name and Value"},
		{"a value and no list", "Action=CreateQueue&QueueName=q&Attribute=a", "found a value"},
		{"the name that JSON has", "Action=CreateQueue&QueueName=q&Attributes.1.Name=a&Attributes.1.Value=b", "unknown member Attributes"},
		{"what nobody knows", "Action=CreateQueue&QueueName=q&Colour=red", "unknown member Colour"},
		{"another version", "Action=CreateQueue&QueueName=q", "is not modelled"},
	} {
		version := "&Version=2012-11-05"
		if c.name == "another version" {
			version = "&Version=2009-02-01"
		}
		if status, body := ask(http.MethodPost, "/", c.form+version); status != http.StatusBadRequest || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s, want %s", c.name, status, body, c.want)
		}
	}
}

// Errors have their old codes and statuses in query, and in JSON one status and both codes.
func TestErrorsOfOldAndNewProtocol(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{&types.QueueDoesNotExist{ErrorCodeOverride: aws.String("AWS.SimpleQueueService.NonExistentQueue")}, 400, "AWS.SimpleQueueService.NonExistentQueue"},
		{&types.PurgeQueueInProgress{ErrorCodeOverride: aws.String("AWS.SimpleQueueService.PurgeQueueInProgress")}, 403, "AWS.SimpleQueueService.PurgeQueueInProgress"},
		{&types.OverLimit{}, 403, "OverLimit"},
	} {
		e, ask := queues(t)
		e.err = c.err
		status, body := ask(http.MethodPost, "/", "Action=ListQueues&Version=2012-11-05")
		if status != c.status || !strings.Contains(body, "<Type>Sender</Type><Code>"+c.code+"</Code>") {
			t.Errorf("query: %d %s, want %d %s", status, body, c.status, c.code)
		}
		mux, err := wire.New(nil, wire.SQS(e))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", strings.NewReader("{}"))
		r.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || w.Header().Get("X-Amzn-Query-Error") != c.code+";Sender" {
			t.Errorf("JSON: %d %s, want 400 %s", w.Code, w.Header().Get("X-Amzn-Query-Error"), c.code)
		}
	}
}
