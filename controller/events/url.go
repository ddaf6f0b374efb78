package events

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// CheckURL says what is wrong with the URL of a queue.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
func CheckURL(s string) error {
	const right = "write the queue's URL, such as https://sqs.eu-central-1.amazonaws.com/123456789012/deploy-events"
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%q is not the URL of an SQS queue; %s", s, right)
	}
	parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	switch {
	case len(parts) != 2 || len(parts[0]) != 12 || strings.Trim(parts[0], "0123456789") != "":
		return fmt.Errorf("%q has no account and name as its path; %s", s, right)
	case strings.HasSuffix(parts[1], ".fifo"):
		return fmt.Errorf("%q is a FIFO queue, in which a message that is kept holds up those behind it; name a standard queue", s)
	case !queueName.MatchString(parts[1]):
		return fmt.Errorf("%q has no queue's name at its end; %s", s, right)
	}
	return nil
}
