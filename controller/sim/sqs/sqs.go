// Package sqs is the Simple Queue Service of the local account: standard and FIFO queues, with long polling,
// visibility, delay, retention and dead-letter queues.
//
// A 0 that the SDK's types cannot tell from nothing is read as not given: VisibilityTimeout and WaitTimeSeconds
// of ReceiveMessage and DelaySeconds of SendMessage then are the queue's own.
package sqs

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

const (
	// deletedFor is how long a deleted queue's name stays unusable, and how long PurgeQueue takes.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html and …_PurgeQueue.html
	deletedFor = 60 * time.Second
	// dedupFor is the deduplication interval.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
	dedupFor = 5 * time.Minute
	maxPage  = 1000
)

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// Engine holds the queues of one account and region.
type Engine struct {
	account, region string

	// MaxInFlight is how many messages of a queue may be in flight; set it before the first call.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
	MaxInFlight int

	mu      sync.Mutex
	queues  map[string]*queue // by name
	deleted map[string]time.Time
	sent    uint64 // how many messages there ever were: the source of ids and sequence numbers
}

type queue struct {
	name, url, arn    string
	fifo              bool
	attributes        map[types.QueueAttributeName]string // those that can be set
	tags              map[string]string
	created, modified time.Time
	purged            time.Time
	messages          []*message       // in the order of sending
	deduplicated      map[string]*echo // FIFO: by deduplication id
	changed           chan struct{}    // closed and replaced whenever a waiting receiver should look again
}

// echo is what a repeated FIFO message is answered.
type echo struct {
	until        time.Time
	id, sequence string
}

// New makes an engine without queues.
func New(account, region string) *Engine {
	return &Engine{account: account, region: region, MaxInFlight: 120_000, queues: map[string]*queue{}, deleted: map[string]time.Time{}}
}

// CreateQueue makes a queue. The same name with the same attributes again answers the queue that is there.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
func (e *Engine) CreateQueue(_ context.Context, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	name := aws.ToString(in.QueueName)
	base, isFIFO := strings.CutSuffix(name, ".fifo")
	if !validName.MatchString(base) || len(name) > 80 {
		return nil, invalidValue("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if isFIFO != (in.Attributes["FifoQueue"] == "true") {
		return nil, invalidValue("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length")
	}
	given, err := checkAttributes(in.Attributes, isFIFO, true)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.queues[name]; old != nil {
		for k, v := range given {
			if old.attributes[k] != v {
				return nil, &types.QueueNameExists{ErrorCodeOverride: aws.String("QueueAlreadyExists"),
					Message: aws.String("A queue already exists with the same name and a different value for attribute " + string(k))}
			}
		}
		return &sqs.CreateQueueOutput{QueueUrl: &old.url}, nil
	}
	if at, ok := e.deleted[name]; ok && now.Before(at.Add(deletedFor)) {
		return nil, &types.QueueDeletedRecently{ErrorCodeOverride: aws.String("AWS.SimpleQueueService.QueueDeletedRecently"),
			Message: aws.String("You must wait 60 seconds after deleting a queue before you can create another with the same name.")}
	}
	q := &queue{
		name: name, fifo: isFIFO, created: now, modified: now, attributes: defaultAttributes(isFIFO), tags: maps.Clone(in.Tags),
		url:          fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", e.region, e.account, name),
		arn:          fmt.Sprintf("arn:aws:sqs:%s:%s:%s", e.region, e.account, name),
		deduplicated: map[string]*echo{}, changed: make(chan struct{}),
	}
	maps.Copy(q.attributes, given)
	if err := e.checkRedrive(q); err != nil {
		return nil, err
	}
	e.queues[name] = q
	return &sqs.CreateQueueOutput{QueueUrl: &q.url}, nil
}

// DeleteQueue removes a queue with its messages; who waits for one gets none.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html
func (e *Engine) DeleteQueue(_ context.Context, in *sqs.DeleteQueueInput) (*sqs.DeleteQueueOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	delete(e.queues, q.name)
	e.deleted[q.name] = time.Now()
	q.messages = nil
	q.wake()
	return &sqs.DeleteQueueOutput{}, nil
}

// GetQueueUrl answers a queue's URL by its name.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html
func (e *Engine) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if in.QueueOwnerAWSAccountId != nil && *in.QueueOwnerAWSAccountId != e.account {
		return nil, noQueue()
	}
	q := e.queues[aws.ToString(in.QueueName)]
	if q == nil {
		return nil, noQueue()
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: &q.url}, nil
}

// ListQueues lists URLs by the prefix of the queues' names; it gives pages only where MaxResults is set.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html
func (e *Engine) ListQueues(_ context.Context, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var urls []string
	for name, q := range e.queues {
		if strings.HasPrefix(name, aws.ToString(in.QueueNamePrefix)) {
			urls = append(urls, q.url)
		}
	}
	page, next, err := pageOfURLs(urls, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &sqs.ListQueuesOutput{QueueUrls: page, NextToken: next}, nil
}

// PurgeQueue removes all messages, at most once in 60 seconds.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html
func (e *Engine) PurgeQueue(_ context.Context, in *sqs.PurgeQueueInput) (*sqs.PurgeQueueOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if !q.purged.IsZero() && now.Before(q.purged.Add(deletedFor)) {
		return nil, &types.PurgeQueueInProgress{ErrorCodeOverride: aws.String("AWS.SimpleQueueService.PurgeQueueInProgress"),
			Message: aws.String("Only one PurgeQueue operation on " + q.name + " is allowed every 60 seconds.")}
	}
	q.purged, q.messages = now, nil
	return &sqs.PurgeQueueOutput{}, nil
}

// GetQueueAttributes answers those that are asked for; the counts are exact here.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
func (e *Engine) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all := q.shown(time.Now())
	out := map[string]string{}
	for _, n := range in.AttributeNames {
		if !slices.Contains(n.Values(), n) {
			return nil, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + string(n) + ".")}
		}
		for k, v := range all {
			if n == types.QueueAttributeNameAll || n == k {
				out[string(k)] = v
			}
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: out}, nil
}

func (q *queue) shown(now time.Time) map[types.QueueAttributeName]string {
	q.expire(now)
	var visible, flight, delayed int
	for _, m := range q.messages {
		switch {
		case !m.visible.After(now):
			visible++
		case m.receives == 0:
			delayed++
		default:
			flight++
		}
	}
	out := maps.Clone(q.attributes)
	out[types.QueueAttributeNameQueueArn] = q.arn
	out[types.QueueAttributeNameCreatedTimestamp] = strconv.FormatInt(q.created.Unix(), 10)
	out[types.QueueAttributeNameLastModifiedTimestamp] = strconv.FormatInt(q.modified.Unix(), 10)
	out[types.QueueAttributeNameApproximateNumberOfMessages] = strconv.Itoa(visible)
	out[types.QueueAttributeNameApproximateNumberOfMessagesNotVisible] = strconv.Itoa(flight)
	out[types.QueueAttributeNameApproximateNumberOfMessagesDelayed] = strconv.Itoa(delayed)
	return out
}

// SetQueueAttributes changes attributes; an empty RedrivePolicy or Policy removes it.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
func (e *Engine) SetQueueAttributes(_ context.Context, in *sqs.SetQueueAttributesInput) (*sqs.SetQueueAttributesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	given, err := checkAttributes(in.Attributes, q.fifo, false)
	if err != nil {
		return nil, err
	}
	old := maps.Clone(q.attributes)
	maps.Copy(q.attributes, given)
	for k, v := range given {
		if v == "" {
			delete(q.attributes, k)
		}
	}
	if err := e.checkRedrive(q); err != nil {
		q.attributes = old
		return nil, err
	}
	q.modified = time.Now()
	q.wake()
	return &sqs.SetQueueAttributesOutput{}, nil
}

// queue finds by URL: only the path counts, as clients reach the account under any host.
func (e *Engine) queue(at *string) (*queue, error) {
	u, err := url.Parse(aws.ToString(at))
	if err != nil || u.Path == "" {
		return nil, &types.InvalidAddress{Message: aws.String("The address " + aws.ToString(at) + " is not valid for this endpoint.")}
	}
	owner, name, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if q := e.queues[name]; q != nil && owner == e.account {
		return q, nil
	}
	return nil, noQueue()
}

func (e *Engine) byARN(arn string) *queue {
	for _, q := range e.queues {
		if q.arn == arn {
			return q
		}
	}
	return nil
}

func noQueue() error {
	return &types.QueueDoesNotExist{ErrorCodeOverride: aws.String("AWS.SimpleQueueService.NonExistentQueue"),
		Message: aws.String("The specified queue does not exist.")}
}

func invalidValue(format string, args ...any) error {
	return &wire.StatusError{Status: 400, Code: "InvalidParameterValue", Message: fmt.Sprintf(format, args...)}
}
