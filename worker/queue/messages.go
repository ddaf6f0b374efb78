package queue

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// groups keeps messages of one group together, in their order; a message without a group is one of its own.
func (c *Consumer) groups(messages []types.Message) [][]types.Message {
	var all [][]types.Message
	at := map[string]int{}
	for _, m := range messages {
		name, grouped := m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]
		if i, known := at[name]; grouped && c.Queue.fifo && known {
			all[i] = append(all[i], m)
			continue
		}
		at[name] = len(all)
		all = append(all, []types.Message{m})
	}
	return all
}

// againMax is the longest time until a message that failed comes again.
const againMax = 5 * time.Minute

// later is when a message that failed so often shall come again: after 1 s, 2 s, 4 s …
func later(tries int) time.Duration {
	return min(time.Second<<min(max(tries, 1)-1, 20), againMax)
}

// receiveCount is how often SQS has given the message out, this time included.
func receiveCount(m types.Message) int {
	n, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if err != nil || n < 1 {
		return 1
	}
	return n
}
