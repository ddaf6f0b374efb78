package sqs

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// redrive is a RedrivePolicy; clients write the count as a number or as text.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
type redrive struct {
	Target string `json:"deadLetterTargetArn"`
	Max    count  `json:"maxReceiveCount"`
}

type count int

func (c *count) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*c = count(n)
	return err
}

func (q *queue) redrive() (redrive, bool) {
	var r redrive
	text := q.attributes[types.QueueAttributeNameRedrivePolicy]
	if text == "" || json.Unmarshal([]byte(text), &r) != nil {
		return r, false
	}
	return r, true
}

// checkRedrive holds a queue's redrive policy against the queues that are there.
func (e *Engine) checkRedrive(q *queue) error {
	text := q.attributes[types.QueueAttributeNameRedrivePolicy]
	if text == "" {
		return nil
	}
	r, ok := q.redrive()
	if !ok || r.Max < 1 || r.Max > 1000 {
		return invalidAttribute("RedrivePolicy", text, "it needs deadLetterTargetArn and maxReceiveCount, 1 to 1000")
	}
	dead := e.byARN(r.Target)
	if dead == nil {
		return invalidAttribute("RedrivePolicy", text, "the dead letter target does not exist")
	}
	if dead.fifo != q.fifo {
		return invalidAttribute("RedrivePolicy", text, "the dead-letter queue of a FIFO queue must be a FIFO queue, and of a standard queue a standard one")
	}
	return nil
}

// bury moves a message to the dead-letter queue, where its age goes on counting from when it was sent.
func (e *Engine) bury(q *queue, m *message, target string) {
	dead := e.byARN(target)
	if dead == nil {
		return
	}
	q.remove(m)
	m.source, m.receives, m.first = q.arn, 0, time.Time{}
	dead.messages = append(dead.messages, m)
	dead.wake()
}

// ListDeadLetterSourceQueues answers the URLs of the queues whose dead letters go to this one.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html
func (e *Engine) ListDeadLetterSourceQueues(_ context.Context, in *sqs.ListDeadLetterSourceQueuesInput) (*sqs.ListDeadLetterSourceQueuesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	dead, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, q := range e.queues {
		if policy, ok := q.redrive(); ok && policy.Target == dead.arn {
			urls = append(urls, q.url)
		}
	}
	page, next, err := pageOfURLs(urls, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &sqs.ListDeadLetterSourceQueuesOutput{QueueUrls: page, NextToken: next}, nil
}

// pageOfURLs gives pages only where MaxResults is set; without it the first 1,000 are all that there is.
func pageOfURLs(urls []string, token *string, most *int32) ([]string, *string, error) {
	size := maxPage
	if most != nil {
		if size = int(*most); size < 1 || size > maxPage {
			return nil, nil, invalidValue("MaxResults must be 1 to %d, found %d", maxPage, size)
		}
	}
	page, next, ok := wire.Page(urls, func(u string) string { return u }, token, size)
	if !ok {
		return nil, nil, invalidValue("NextToken is not one that this account gave")
	}
	if most == nil {
		next = nil
	}
	return append([]string{}, page...), next, nil
}
