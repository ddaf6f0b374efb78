package sqs

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ranges are the attributes that are numbers, with their least and greatest value and their default.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
func ranges() map[types.QueueAttributeName][3]int {
	return map[types.QueueAttributeName][3]int{
		types.QueueAttributeNameDelaySeconds:                  {0, 900, 0},
		types.QueueAttributeNameMaximumMessageSize:            {1024, 1 << 20, 1 << 20},
		types.QueueAttributeNameMessageRetentionPeriod:        {60, 1_209_600, 345_600},
		types.QueueAttributeNameReceiveMessageWaitTimeSeconds: {0, 20, 0},
		types.QueueAttributeNameVisibilityTimeout:             {0, 43_200, 30},
	}
}

func defaultAttributes(fifo bool) map[types.QueueAttributeName]string {
	out := map[types.QueueAttributeName]string{types.QueueAttributeNameSqsManagedSseEnabled: "true"}
	for k, r := range ranges() {
		out[k] = strconv.Itoa(r[2])
	}
	if fifo {
		out[types.QueueAttributeNameFifoQueue] = "true"
		out[types.QueueAttributeNameContentBasedDeduplication] = "false"
		out[types.QueueAttributeNameDeduplicationScope] = "queue"
		out[types.QueueAttributeNameFifoThroughputLimit] = "perQueue"
	}
	return out
}

// checkAttributes refuses unknown names, values out of range and what is not modelled.
func checkAttributes(in map[string]string, fifo, create bool) (map[types.QueueAttributeName]string, error) {
	out := map[types.QueueAttributeName]string{}
	for name, v := range in {
		k := types.QueueAttributeName(name)
		if r, ok := ranges()[k]; ok {
			if n, err := strconv.Atoi(v); err != nil || n < r[0] || n > r[1] {
				return nil, invalidAttribute(name, v, fmt.Sprintf("it must be %d to %d", r[0], r[1]))
			}
			out[k] = v
			continue
		}
		switch k {
		case types.QueueAttributeNameFifoQueue:
			if !create || v != "true" {
				return nil, invalidAttribute(name, v, "it is true for a FIFO queue, from its creation on, and otherwise left out")
			}
		case types.QueueAttributeNameContentBasedDeduplication:
			if !fifo || (v != "true" && v != "false") {
				return nil, invalidAttribute(name, v, "it is true or false, of a FIFO queue")
			}
		case types.QueueAttributeNameSqsManagedSseEnabled:
			if v != "true" && v != "false" {
				return nil, invalidAttribute(name, v, "it is true or false")
			}
		case types.QueueAttributeNamePolicy, types.QueueAttributeNameRedrivePolicy, types.QueueAttributeNameRedriveAllowPolicy:
			if v != "" && !json.Valid([]byte(v)) {
				return nil, invalidAttribute(name, v, "it must be JSON")
			}
		default:
			if !slices.Contains(k.Values(), k) {
				return nil, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + name + ".")}
			}
			if v != defaultAttributes(fifo)[k] {
				return nil, &types.InvalidAttributeName{Message: aws.String("Attribute " + name + " is not modelled by this account.")}
			}
		}
		out[k] = v
	}
	return out, nil
}

func invalidAttribute(name, v, rule string) error {
	return &types.InvalidAttributeValue{ErrorCodeOverride: aws.String("InvalidAttributeValue"),
		Message: aws.String(fmt.Sprintf("Invalid value %q for the parameter %s: %s.", v, name, rule))}
}

func (q *queue) duration(name types.QueueAttributeName) time.Duration {
	n, err := strconv.Atoi(q.attributes[name])
	if err != nil {
		return 0 // cannot be: checkAttributes saw it
	}
	return time.Duration(n) * time.Second
}

// ErrNotAllowed says that a queue's policy does not let a service send to it.
var ErrNotAllowed = errors.New("the queue's policy does not allow it")

// statement is what of a policy decides whether a service may send.
type statement struct {
	Effect    string
	Principal json.RawMessage
	Action    oneOrMore
	Resource  oneOrMore
	Condition map[string]map[string]oneOrMore
}

type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// allows reads a queue's resource policy as far as EventBridge needs it: Allow and Deny for a service
// principal, with conditions on aws:SourceArn and aws:SourceAccount; any other condition does not hold.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions
func (q *queue) allows(service, sourceARN, account string) bool {
	var policy struct{ Statement []statement }
	if json.Unmarshal([]byte(q.attributes[types.QueueAttributeNamePolicy]), &policy) != nil {
		return false
	}
	allowed := false
	for _, s := range policy.Statement {
		if !s.speaksOf(service, q.arn) || !s.holds(sourceARN, account) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = allowed || s.Effect == "Allow"
	}
	return allowed
}

func (s statement) speaksOf(service, queueARN string) bool {
	var who struct{ Service oneOrMore }
	everyone := string(s.Principal) == `"*"` || strings.ReplaceAll(string(s.Principal), " ", "") == `{"AWS":"*"}`
	if !everyone && (json.Unmarshal(s.Principal, &who) != nil || !slices.Contains(who.Service, service)) {
		return false
	}
	action := slices.ContainsFunc(s.Action, func(a string) bool {
		a = strings.ToLower(a)
		return a == "*" || a == "sqs:*" || a == "sqs:sendmessage"
	})
	resource := slices.ContainsFunc(s.Resource, func(r string) bool { return like(r, queueARN) })
	return action && resource
}

func (s statement) holds(sourceARN, account string) bool {
	for operator, keys := range s.Condition {
		if !slices.Contains([]string{"ArnEquals", "ArnLike", "StringEquals", "StringLike"}, operator) {
			return false
		}
		for key, values := range keys {
			have, known := map[string]string{"aws:sourcearn": sourceARN, "aws:sourceaccount": account}[strings.ToLower(key)]
			if !known || !slices.ContainsFunc(values, func(v string) bool { return like(v, have) }) {
				return false
			}
		}
	}
	return true
}

// like compares with * and ?, which path.Match knows too; ARNs of queues and rules hold slashes, so that
// these must not be special.
func like(pattern, text string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(text, "/", "\x00"))
	return ok && err == nil
}
