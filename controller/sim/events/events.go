// Package events is EventBridge of the local account: rules on the default bus whose targets are SQS queues.
//
// What AWS promises is delivery at least once and in no order. Trouble makes that felt: events come late,
// twice, or not at all, as the seed says.
package events

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Limits of https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html and
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
const (
	maxTargets  = 5
	maxEntries  = 10
	maxBytes    = 1 << 20
	pageSize    = 100
	defaultBus  = "default"
	retryFor    = 24 * time.Hour
	firstRetry  = time.Second
	retryFactor = 2
)

var validName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

// Config says whose rules they are.
type Config struct {
	Account, Region string
	Seed            uint64 // one seed, one sequence of delays and troubles
	// Send puts an event into a queue for a rule. An error counts as a failed invocation.
	Send func(queueARN, ruleARN, body, group string) error
}

// Trouble is how delivery goes wrong. Its zero is delivery once, after MinDelay.
type Trouble struct {
	MinDelay, MaxDelay  time.Duration // from the event to the queue; different delays turn the order around
	Lost, Doubled, Late float64       // probabilities, 0 to 1
	LateBy              time.Duration // how much later a late one comes, at most
	LostDetailTypes     []string      // these are always lost
}

// Event is something that happened, as a service tells it.
type Event struct {
	At                 time.Time
	Source, DetailType string
	Resources          []string
	Detail             json.RawMessage
}

// Engine holds the rules of one account and region.
type Engine struct {
	config Config

	mu      sync.Mutex
	rules   map[string]*rule
	trouble Trouble
	instant time.Time
	same    map[uint64]uint64 // how many of one content were published at the instant
	failed  int
	pending map[*time.Timer]bool
	closed  bool
}

type rule struct {
	types.Rule
	pattern Pattern
	targets map[string]types.Target
}

// New makes an engine without rules.
func New(c Config) *Engine {
	return &Engine{config: c, rules: map[string]*rule{}, pending: map[*time.Timer]bool{}}
}

// Close drops what is not delivered yet.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for t := range e.pending {
		t.Stop()
	}
}

// SetTrouble changes how events from now on are delivered.
func (e *Engine) SetTrouble(t Trouble) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trouble = t
}

// Failed counts deliveries that a target refused, such as by its policy; AWS shows them in the metric
// FailedInvocations only.
func (e *Engine) Failed() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

// Listening says whether any rule could want an event, so that nobody need write one that nobody reads.
func (e *Engine) Listening() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.rules {
		if r.State == types.RuleStateEnabled && len(r.targets) > 0 {
			return true
		}
	}
	return false
}

// Publish gives an event to the rules that match it and answers its id.
func (e *Engine) Publish(v Event) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := e.key(v)
	id := fmt.Sprintf("%08x-0000-4000-8000-%012x", key>>48, key&(1<<48-1))
	resources := v.Resources
	if resources == nil {
		resources = []string{}
	}
	body, err := json.Marshal(envelope{
		Version: "0", ID: id, DetailType: v.DetailType, Source: v.Source, Account: e.config.Account,
		Time: v.At.UTC().Format(time.RFC3339), Region: e.config.Region, Resources: resources, Detail: v.Detail,
	})
	if err != nil {
		return id // a detail that is not JSON: PutEvents refuses it, and services write none
	}
	for _, name := range slices.Sorted(maps.Keys(e.rules)) {
		r := e.rules[name]
		if r.State != types.RuleStateEnabled || !r.pattern.Match(body) {
			continue
		}
		for _, target := range slices.Sorted(maps.Keys(r.targets)) {
			e.route(r.targets[target], *r.Arn, v.DetailType, string(body), key)
		}
	}
	return id
}

// envelope is https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// key is the same for the same event in every run of a seed: several that are published at one instant come in any
// order, so it is of what they say and not of how many were before. The caller holds the lock.
func (e *Engine) key(v Event) uint64 {
	if now := time.Now(); !now.Equal(e.instant) {
		e.instant, e.same = now, map[uint64]uint64{}
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%q %q %d %q %s", v.Source, v.DetailType, v.At.UnixNano(), v.Resources, v.Detail) // a hash never fails
	content := h.Sum64()
	e.same[content]++
	_, _ = fmt.Fprintf(h, " %d %d", e.instant.UnixNano(), e.same[content])
	return h.Sum64()
}

// route plans one delivery, or two, or none. The caller holds the lock.
func (e *Engine) route(to types.Target, ruleARN, detailType, body string, key uint64) {
	now := time.Now()
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %s", key, ruleARN, *to.Id) // a hash never fails
	rng := rand.New(rand.NewPCG(e.config.Seed, h.Sum64()))
	t := e.trouble
	if rng.Float64() < t.Lost || slices.Contains(t.LostDetailTypes, detailType) {
		return
	}
	times := 1
	if rng.Float64() < t.Doubled {
		times = 2
	}
	for range times {
		d := t.MinDelay
		if more := t.MaxDelay - t.MinDelay; more > 0 {
			d += time.Duration(rng.Int64N(int64(more)))
		}
		if rng.Float64() < t.Late && t.LateBy > 0 {
			d += time.Duration(rng.Int64N(int64(t.LateBy)))
		}
		e.after(d, delivery{to: to, rule: ruleARN, body: body, until: now.Add(retryFor), wait: firstRetry})
	}
}

type delivery struct {
	to         types.Target
	rule, body string
	until      time.Time
	wait       time.Duration
}

// after is called with the lock held.
func (e *Engine) after(d time.Duration, what delivery) {
	if e.closed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		e.mu.Lock()
		delete(e.pending, t)
		closed := e.closed
		e.mu.Unlock()
		if !closed {
			e.deliver(what)
		}
	})
	e.pending[t] = true
}

// deliver tries again with growing pauses for a day where the target is away for a while, and gives up at once
// where it is gone or does not allow it.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
func (e *Engine) deliver(d delivery) {
	group := ""
	if d.to.SqsParameters != nil {
		group = aws.ToString(d.to.SqsParameters.MessageGroupId)
	}
	err := e.config.Send(*d.to.Arn, d.rule, d.body, group)
	if err == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failed++
	if api, ok := err.(smithy.APIError); ok && api.ErrorFault() == smithy.FaultServer && time.Now().Before(d.until) {
		wait := d.wait
		d.wait *= retryFactor
		e.after(wait, d)
	}
}

// PutEvents publishes events of an application's own. Each entry may fail by itself.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
func (e *Engine) PutEvents(_ context.Context, in *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
	if err := wire.Refuse(in, "Entries"); err != nil {
		return nil, err
	}
	if len(in.Entries) == 0 || len(in.Entries) > maxEntries {
		return nil, validation("Entries must have 1 to %d members, found %d", maxEntries, len(in.Entries))
	}
	out := &eventbridge.PutEventsOutput{}
	size := 0
	for _, v := range in.Entries {
		size += len(aws.ToString(v.Detail)) + len(aws.ToString(v.Source)) + len(aws.ToString(v.DetailType))
	}
	if size > maxBytes {
		return nil, validation("Total size of the entries in the request is over the limit.")
	}
	for _, v := range in.Entries {
		code, text := refusal(v)
		if code != "" {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, types.PutEventsResultEntry{ErrorCode: &code, ErrorMessage: &text})
			continue
		}
		at := time.Now()
		if v.Time != nil {
			at = *v.Time
		}
		id := e.Publish(Event{At: at, Source: *v.Source, DetailType: *v.DetailType, Resources: v.Resources, Detail: json.RawMessage(*v.Detail)})
		out.Entries = append(out.Entries, types.PutEventsResultEntry{EventId: &id})
	}
	return out, nil
}

func refusal(v types.PutEventsRequestEntry) (code, text string) {
	switch {
	case v.Source == nil || v.DetailType == nil || v.Detail == nil:
		return "InvalidArgument", "Parameter Source, DetailType or Detail is not valid. Reason: it is a required argument."
	case strings.HasPrefix(*v.Source, "aws."):
		return "NotAuthorizedForSourceException", "Not authorized for the source."
	case !bus(v.EventBusName):
		return "ResourceNotFoundException", "Event bus " + *v.EventBusName + " does not exist."
	case !json.Valid([]byte(*v.Detail)):
		return "MalformedDetail", "Detail is malformed."
	}
	return "", ""
}

// bus holds for the default bus, by name or ARN.
func bus(name *string) bool {
	return name == nil || *name == defaultBus || strings.HasSuffix(*name, ":event-bus/"+defaultBus)
}

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
