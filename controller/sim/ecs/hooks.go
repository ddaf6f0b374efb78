package ecs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// HookCall is one invocation of a Lambda lifecycle hook.
type HookCall struct {
	FunctionARN string
	Stage       types.DeploymentLifecycleHookStage
	Payload     json.RawMessage // what the function is invoked with
}

// HookAnswer is what the function returned, word for word. Whatever is not a
// JSON object with a known hookStatus fails the deployment, as an empty answer
// does: the function that raised an error.
type HookAnswer string

// Answers without a delay of their own.
const (
	HookSucceeded  HookAnswer = `{"hookStatus":"SUCCEEDED"}`
	HookFailed     HookAnswer = `{"hookStatus":"FAILED"}`
	HookInProgress HookAnswer = `{"hookStatus":"IN_PROGRESS"}`
)

// hookRun is one hook at one stage of one service deployment.
type hookRun struct {
	id      string
	hook    types.DeploymentLifecycleHook
	stage   types.ServiceDeploymentLifecycleStage
	status  types.DeploymentLifecycleHookStatus
	expires time.Time
	details any // the state that the function handed back with IN_PROGRESS
}

func (h *hookRun) pending() bool {
	return h.status == types.DeploymentLifecycleHookStatusAwaitingAction || h.status == types.DeploymentLifecycleHookStatusInProgress
}

// hooksDone: nothing holds the stage back. On the way back no answer does, once
// it is there.
func (l *lifecycle) hooksDone() bool { return !slices.ContainsFunc(l.hooks, (*hookRun).pending) }

func hooked(hooks []types.DeploymentLifecycleHook, stage types.ServiceDeploymentLifecycleStage) bool {
	return slices.ContainsFunc(hooks, func(h types.DeploymentLifecycleHook) bool { return at(h, stage) })
}

// callHooks begins the hooks of the stage that was entered.
func (e *Engine) callHooks(s *service, r *record) {
	l := r.life
	for _, hook := range r.config.LifecycleHooks {
		if !at(hook, l.stage) {
			continue
		}
		rnd := e.random("hook " + s.arn)
		h := &hookRun{
			hook: hook, stage: l.stage, status: types.DeploymentLifecycleHookStatusInProgress,
			expires: e.now.Add(minutes(hook.TimeoutConfiguration.TimeoutInMinutes)),
		}
		if end := r.createdAt.Add(deploymentMax); end.Before(h.expires) {
			h.expires = end
		}
		prefix := "ecs-lambda-"
		if hook.TargetType == types.DeploymentLifecycleHookTargetTypePause {
			prefix, h.status = "ecs-pause-", types.DeploymentLifecycleHookStatusAwaitingAction
		}
		h.id = prefix + base64.RawURLEncoding.EncodeToString(bytesOf(rnd, 32))
		if hook.HookDetails != nil {
			h.details = hook.HookDetails
		}
		l.hooks = append(l.hooks, h)
		e.after(h.expires.Sub(e.now), func() { e.hookExpired(s, r, h) })
		if h.status == types.DeploymentLifecycleHookStatusAwaitingAction {
			e.tellHook(s, r, h, "HOOK_AWAITING_ACTION")
			continue
		}
		e.invoke(s, r, h, uuid(rnd))
	}
}

// current: the answer to h is still waited for.
func (e *Engine) current(s *service, r *record, h *hookRun) bool {
	return s.status == serviceActive && r.open() && h.pending() && slices.Contains(r.life.hooks, h)
}

// invoke calls a hook's function once.
func (e *Engine) invoke(s *service, r *record, h *hookRun, execution string) {
	call := HookCall{FunctionARN: aws.ToString(h.hook.HookTargetArn), Stage: types.DeploymentLifecycleHookStage(h.stage), Payload: e.hookPayload(s, r, h, execution)}
	e.effect(func() {
		var answer HookAnswer
		if e.cfg.Hook != nil {
			answer = e.cfg.Hook(call)
		}
		e.section(func() {
			if e.current(s, r, h) {
				e.answered(s, r, h, answer, execution)
			}
		})
	})
}

func (e *Engine) hookPayload(s *service, r *record, h *hookRun, execution string) json.RawMessage {
	test, production := map[string]float64{}, map[string]float64{}
	for _, d := range e.carriers(s, r) {
		production[e.revisionARN(d)] = d.production
		if d.test > 0 {
			test[e.revisionARN(d)] = d.test
		}
	}
	payload := map[string]any{
		"executionDetails": map[string]any{
			"testTrafficWeights": test, "productionTrafficWeights": production,
			"serviceArn": s.arn, "targetServiceRevisionArn": e.revisionARN(s.primary()),
		},
		"executionId": execution, "lifecycleStage": h.stage, "resourceArn": r.arn,
	}
	switch d := h.details.(type) {
	case json.RawMessage:
		payload["hookDetails"] = d
	case interface{ MarshalSmithyDocument() ([]byte, error) }:
		if raw, err := d.MarshalSmithyDocument(); err == nil {
			payload["hookDetails"] = json.RawMessage(raw)
		}
	}
	raw, err := json.Marshal(payload)
	if err != nil { // only hookDetails can be anything but plain values
		delete(payload, "hookDetails")
		raw, _ = json.Marshal(payload)
	}
	return raw
}

// answered takes a function's answer.
func (e *Engine) answered(s *service, r *record, h *hookRun, answer HookAnswer, execution string) {
	var a struct {
		HookStatus    string          `json:"hookStatus"`
		CallBackDelay *float64        `json:"callBackDelay"`
		HookDetails   json.RawMessage `json:"hookDetails"`
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		a.HookStatus = ""
	}
	switch a.HookStatus {
	case "SUCCEEDED":
		e.endHook(s, r, h, types.DeploymentLifecycleHookStatusSucceeded)
	case "IN_PROGRESS":
		delay := e.cfg.Timing.HookCallBack
		if a.CallBackDelay != nil && *a.CallBackDelay > 0 {
			delay = time.Duration(*a.CallBackDelay * float64(time.Second))
		}
		if len(a.HookDetails) > 0 {
			h.details = a.HookDetails
		}
		e.after(delay, func() {
			if e.current(s, r, h) {
				e.invoke(s, r, h, execution)
			}
		})
	default:
		e.endHook(s, r, h, types.DeploymentLifecycleHookStatusFailed)
	}
}

// endHook ends one hook. A failed one ends the deployment, unless it is rolling
// back already.
func (e *Engine) endHook(s *service, r *record, h *hookRun, status types.DeploymentLifecycleHookStatus) {
	h.status, r.updatedAt = status, e.now
	e.tellHook(s, r, h, "HOOK_"+string(status))
	e.touch(s)
	action := h.hook.TimeoutConfiguration.Action
	switch {
	case r.life.back:
	case status == types.DeploymentLifecycleHookStatusFailed:
		e.fail(r.dep, h.failed("returned FAILED status."), true)
	case status == types.DeploymentLifecycleHookStatusTimedOut && action == types.DeploymentLifecycleHookActionRollback:
		e.fail(r.dep, h.failed("timed out."), true)
	}
}

func (h *hookRun) failed(how string) cause {
	target := aws.ToString(h.hook.HookTargetArn)
	if target == "" {
		target = h.id
	}
	text := fmt.Sprintf("Service deployment rolled back because %s lifecycle hook(s) failed. Lifecycle hook target %s %s", h.stage, target, how)
	return cause{event: text, deployment: "ECS deployment failed: lifecycle hook failed.", rolledBack: text}
}

func (e *Engine) hookExpired(s *service, r *record, h *hookRun) {
	if e.current(s, r, h) {
		e.endHook(s, r, h, types.DeploymentLifecycleHookStatusTimedOut)
	}
}

// ContinueServiceDeployment answers a PAUSE hook that awaits it: CONTINUE (the
// default) goes on to the next stage, ROLLBACK fails the deployment. A hook that
// awaits nothing is an InvalidParameterException, a service deployment that is
// not IN_PROGRESS a ConflictException.
func (e *Engine) ContinueServiceDeployment(_ context.Context, in *awsecs.ContinueServiceDeploymentInput) (*awsecs.ContinueServiceDeploymentOutput, error) {
	action := in.Action
	if action == "" {
		action = types.DeploymentLifecycleHookActionContinue
	}
	if !slices.Contains(action.Values(), action) {
		return nil, invalid("action must be one of %v", action.Values())
	}
	e.lock()
	defer e.unlock()
	arn, id := aws.ToString(in.ServiceDeploymentArn), aws.ToString(in.HookId)
	r := e.record(arn)
	if r == nil {
		return nil, &types.ServiceDeploymentNotFoundException{Message: aws.String("Service deployment not found: " + arn)}
	}
	if r.status != types.ServiceDeploymentStatusInProgress {
		return nil, &types.ConflictException{
			Message: aws.String(fmt.Sprintf("Service deployment is %s and can't be continued.", r.status)), ResourceIds: []string{r.arn},
		}
	}
	var h *hookRun
	if r.life != nil {
		if i := slices.IndexFunc(r.life.hooks, func(o *hookRun) bool { return o.id == id }); i >= 0 {
			h = r.life.hooks[i]
		}
	}
	if h == nil || h.status != types.DeploymentLifecycleHookStatusAwaitingAction {
		return nil, invalid("Lifecycle hook %s is not in AWAITING_ACTION status.", id)
	}
	status := types.DeploymentLifecycleHookStatusSucceeded
	if action == types.DeploymentLifecycleHookActionRollback {
		status = types.DeploymentLifecycleHookStatusFailed
	}
	e.endHook(r.dep.svc, r, h, status)
	return &awsecs.ContinueServiceDeploymentOutput{ServiceDeploymentArn: aws.String(r.arn)}, nil
}

func at(h types.DeploymentLifecycleHook, stage types.ServiceDeploymentLifecycleStage) bool {
	return slices.Contains(h.LifecycleStages, types.DeploymentLifecycleHookStage(stage))
}

func (l *lifecycle) viewHooks() []types.DeploymentLifecycleHookDetail {
	var out []types.DeploymentLifecycleHookDetail
	for _, h := range l.hooks {
		out = append(out, h.view())
	}
	return out
}

func (h *hookRun) view() types.DeploymentLifecycleHookDetail {
	return types.DeploymentLifecycleHookDetail{
		HookId: aws.String(h.id), Status: h.status, TargetArn: clone(h.hook.HookTargetArn), TargetType: h.hook.TargetType,
		TimeoutAction: h.hook.TimeoutConfiguration.Action, ExpiresAt: when(h.expires),
	}
}
