// Package queue is the service's side of an Amazon SQS queue of order events: it sends what the outbox holds, and receives
// what the outbox and the kitchen sent.
package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// batchMax is what one request of SQS takes or gives.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const batchMax = 10

// Queue is a queue and the way to it; safe for concurrent use.
type Queue struct {
	client *sqs.Client
	url    string
	fifo   bool
}

// Connect uses region, credentials and endpoint as the SDK finds them (in a task of ECS's its role); nothing is sent yet.
func Connect(ctx context.Context, url string) (*Queue, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("configure the AWS SDK: %w", err)
	}
	return New(cfg, url), nil
}

// New is Connect with a given configuration.
func New(cfg aws.Config, url string) *Queue {
	// "The name of a FIFO queue must end with the .fifo suffix":
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
	return &Queue{client: sqs.NewFromConfig(cfg), url: url, fifo: strings.HasSuffix(url, ".fifo")}
}

// ErrNoDeadLetters says that a message which nobody can handle would come again until the queue's retention ends.
var ErrNoDeadLetters = errors.New("the queue has no dead-letter queue: give it a RedrivePolicy with deadLetterTargetArn and maxReceiveCount")
