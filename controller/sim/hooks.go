package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// SeedHook is what a Lambda function answers as a lifecycle hook: at each stage of each deployment its answers
// in turn, the last one again and again.
type SeedHook struct {
	Function string       `json:"function"` // ARN
	Answers  []SeedAnswer `json:"answers"`
}

// SeedAnswer is one answer of a function.
type SeedAnswer struct {
	Status        string   `json:"status"`          // SUCCEEDED, FAILED, IN_PROGRESS
	Times         int      `json:"times,omitempty"` // 0 is 1
	CallBackDelay Duration `json:"callBackDelay,omitempty"`
}

var hookStatuses = []types.DeploymentLifecycleHookStatus{
	types.DeploymentLifecycleHookStatusSucceeded, types.DeploymentLifecycleHookStatusFailed, types.DeploymentLifecycleHookStatusInProgress,
}

func (p planter) hooks(_ context.Context, s *Seed) error {
	return each("hooks", s.Hooks, func(h SeedHook) error {
		var err error
		if h.Function, err = p.expand(h.Function); err != nil {
			return fmt.Errorf("function: %w", err)
		}
		if !strings.HasPrefix(h.Function, "arn:aws:lambda:") {
			return fmt.Errorf("function: must be the ARN of a Lambda function, found %q", h.Function)
		}
		if len(h.Answers) == 0 {
			return fmt.Errorf("answers: must not be empty")
		}
		if err := each("answers", h.Answers, SeedAnswer.check); err != nil {
			return err
		}
		p.account.mu.Lock()
		defer p.account.mu.Unlock()
		if _, twice := p.account.hooks[h.Function]; twice {
			return fmt.Errorf("function: %s has its answers already", h.Function)
		}
		p.account.hooks[h.Function] = h
		return nil
	})
}

func (a SeedAnswer) check() error {
	inProgress := a.Status == string(types.DeploymentLifecycleHookStatusInProgress)
	switch {
	case !slices.Contains(hookStatuses, types.DeploymentLifecycleHookStatus(a.Status)):
		return fmt.Errorf("status: must be one of %v, found %q", hookStatuses, a.Status)
	case a.Times < 0:
		return fmt.Errorf("times: must not be below 0, found %d", a.Times)
	case a.CallBackDelay != 0 && !inProgress:
		return fmt.Errorf("callBackDelay: only an IN_PROGRESS answer has one")
	case time.Duration(a.CallBackDelay)%time.Second != 0:
		return fmt.Errorf("callBackDelay: must be whole seconds, found %s", time.Duration(a.CallBackDelay))
	}
	return nil
}

// callHook answers for every Lambda function. ECS calls it without any lock held.
func (a *Account) callHook(c ecs.HookCall) ecs.HookAnswer {
	a.mu.Lock()
	h, known := a.hooks[c.FunctionARN]
	a.mu.Unlock()
	switch {
	case known:
		return h.answer(c.Payload)
	case a.config.Hook != nil:
		return a.config.Hook(c)
	}
	return ""
}

// countedCalls is where a function of a seed file keeps how often it was called at this stage: in what AWS hands
// back to it with the next call. The account need not remember deployments then.
const countedCalls = "localAccountCalls"

// answer is the function's answer to one call.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-lifecycle-hooks.html
func (h SeedHook) answer(payload json.RawMessage) ecs.HookAnswer {
	var in struct {
		HookDetails json.RawMessage `json:"hookDetails"`
	}
	calls := map[string]int{}
	if json.Unmarshal(payload, &in) != nil || json.Unmarshal(in.HookDetails, &calls) != nil {
		calls = map[string]int{} // hookDetails of the user's own, in whatever form: the first call
	}
	n, now := calls[countedCalls], h.Answers[len(h.Answers)-1]
	for i, left := 0, n; i < len(h.Answers); i++ {
		if left -= max(h.Answers[i].Times, 1); left < 0 {
			now = h.Answers[i]
			break
		}
	}
	out := map[string]any{"hookStatus": now.Status}
	if now.Status == string(types.DeploymentLifecycleHookStatusInProgress) {
		out["hookDetails"] = map[string]int{countedCalls: n + 1}
		if now.CallBackDelay > 0 {
			out["callBackDelay"] = int(time.Duration(now.CallBackDelay) / time.Second)
		}
	}
	return ecs.HookAnswer(object(out))
}
