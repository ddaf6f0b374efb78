package elb

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// target is one registered target and where its health stands.
//
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
// A new target is initial until it passed one check, or failed as many as the unhealthy threshold; afterwards
// the thresholds decide. A target of a group that no listener forwards to is unused and not checked.
type target struct {
	ecs.Target
	health       ecs.TargetHealth
	passed       int // consecutive checks
	failed       int
	timer        *time.Timer
	deregistered bool
}

func (t *target) stopTimer() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

func initial(reason types.TargetHealthReasonEnum, text string) ecs.TargetHealth {
	return ecs.TargetHealth{State: string(types.TargetHealthStateEnumInitial), Reason: string(reason), Description: text}
}

var (
	registering = initial(types.TargetHealthReasonEnumRegistrationInProgress, "Target registration is in progress")
	checking    = initial(types.TargetHealthReasonEnumInitialHealthChecking, "Initial health checks in progress")
	healthy     = ecs.TargetHealth{State: string(types.TargetHealthStateEnumHealthy)}
	notInUse    = ecs.TargetHealth{
		State: string(types.TargetHealthStateEnumUnused), Reason: string(types.TargetHealthReasonEnumNotInUse),
		Description: "Target group is not configured to receive traffic from the load balancer",
	}
	notRegistered = ecs.TargetHealth{
		State: string(types.TargetHealthStateEnumUnused), Reason: string(types.TargetHealthReasonEnumNotRegistered),
		Description: "Target is not registered to the target group",
	}
	draining = ecs.TargetHealth{
		State: string(types.TargetHealthStateEnumDraining), Reason: string(types.TargetHealthReasonEnumDeregistrationInProgress),
		Description: "Target deregistration is in progress",
	}
)

func key(t ecs.Target) string { return net.JoinHostPort(t.ID, strconv.Itoa(int(t.Port))) }

// Register adds a target, or takes a draining one back in.
func (e *Engine) Register(targetGroupARN string, t ecs.Target) error {
	e.mu.Lock()
	g := e.groups[targetGroupARN]
	if g == nil {
		e.mu.Unlock()
		return fmt.Errorf("target group %s is not found", targetGroupARN)
	}
	old := g.targets[key(t)]
	if old != nil && !old.deregistered {
		e.mu.Unlock()
		return nil
	}
	if old != nil {
		old.stopTimer()
	}
	n := &target{Target: t}
	g.targets[key(t)] = n
	e.begin(g, n)
	e.mu.Unlock()
	e.tell()
	return nil
}

// begin starts a target's health checks, or says that it is not in use. The caller holds the lock.
func (e *Engine) begin(g *group, t *target) {
	t.passed, t.failed = 0, 0
	t.stopTimer()
	if len(g.LoadBalancerArns) == 0 {
		e.become(g, t, notInUse)
		return
	}
	e.become(g, t, registering)
	// Targets that are registered at one instant are not checked at one instant.
	phase := fnv.New32a()
	_, _ = phase.Write([]byte(key(t.Target))) // a hash never fails
	first := e.config.FirstCheck + time.Duration(phase.Sum32()%1000)*time.Microsecond
	t.timer = time.AfterFunc(first, func() { e.check(g, t) })
}

func (e *Engine) become(g *group, t *target, h ecs.TargetHealth) {
	if t.health != h {
		t.health = h
		e.say(g, t, h)
	}
}

// check asks a target once, without the lock, and plans the next time.
func (e *Engine) check(g *group, t *target) {
	e.mu.Lock()
	if t.deregistered || e.ctx.Err() != nil {
		e.mu.Unlock()
		return
	}
	if t.health == registering {
		e.become(g, t, checking)
	}
	interval := seconds(g.HealthCheckIntervalSeconds)
	timeout := seconds(g.HealthCheckTimeoutSeconds)
	path, codes := *g.HealthCheckPath, *g.Matcher.HttpCode
	e.done.Add(1)
	e.mu.Unlock()
	defer e.done.Done()
	e.tell()

	answer := e.ask(t.Target, path, timeout)

	e.mu.Lock()
	if !t.deregistered && e.ctx.Err() == nil && t.health.State != string(types.TargetHealthStateEnumUnused) {
		e.learn(g, t, answer, codes)
		t.timer = time.AfterFunc(interval, func() { e.check(g, t) })
	}
	e.mu.Unlock()
	e.tell()
}

// learn counts one answer.
func (e *Engine) learn(g *group, t *target, a ecs.Answer, codes string) {
	if !a.Timeout && matches(codes, a.Status) {
		t.passed, t.failed = t.passed+1, 0
		if t.health.State != string(types.TargetHealthStateEnumUnhealthy) || t.passed >= int(*g.HealthyThresholdCount) {
			e.become(g, t, healthy)
		}
		return
	}
	t.passed, t.failed = 0, t.failed+1
	if t.failed >= int(*g.UnhealthyThresholdCount) || t.health.State == string(types.TargetHealthStateEnumUnhealthy) {
		e.become(g, t, unhealthy(a))
	}
}

func unhealthy(a ecs.Answer) ecs.TargetHealth {
	h := ecs.TargetHealth{State: string(types.TargetHealthStateEnumUnhealthy)}
	switch {
	case a.Timeout:
		h.Reason, h.Description = string(types.TargetHealthReasonEnumTimeout), "Request timed out"
	case a.Status == 0:
		h.Reason, h.Description = string(types.TargetHealthReasonEnumFailedHealthChecks), "Health checks failed"
	default:
		h.Reason = string(types.TargetHealthReasonEnumResponseCodeMismatch)
		h.Description = fmt.Sprintf("Health checks failed with these codes: [%d]", a.Status)
	}
	return h
}

func (e *Engine) ask(t ecs.Target, path string, timeout time.Duration) ecs.Answer {
	if t.Address == "" {
		if t.Probe == nil {
			return ecs.Answer{Timeout: true} // an address that nobody answers at
		}
		return t.Probe()
	}
	ctx, cancel := context.WithTimeout(e.ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Address+path, nil)
	if err != nil {
		return ecs.Answer{}
	}
	req.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return ecs.Answer{Timeout: errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err)}
	}
	_ = resp.Body.Close() // only the status counts
	return ecs.Answer{Status: resp.StatusCode}
}

// Deregister begins draining: no new requests, gone after the deregistration delay.
func (e *Engine) Deregister(targetGroupARN string, t ecs.Target) {
	e.mu.Lock()
	defer e.tell()
	defer e.mu.Unlock()
	g := e.groups[targetGroupARN]
	if g == nil {
		return
	}
	k := key(t)
	held := g.targets[k]
	if held == nil || held.deregistered {
		return
	}
	held.deregistered = true
	held.stopTimer()
	delay := g.deregistrationDelay()
	if len(g.LoadBalancerArns) == 0 || delay == 0 {
		delete(g.targets, k)
		e.become(g, held, notRegistered)
		return
	}
	e.become(g, held, draining)
	held.timer = time.AfterFunc(delay, func() {
		e.mu.Lock()
		if g.targets[k] == held && e.ctx.Err() == nil {
			delete(g.targets, k)
			e.become(g, held, notRegistered)
		}
		e.mu.Unlock()
		e.tell()
	})
}

// DeregistrationDelay is the group's attribute; 0 for an unknown group.
func (e *Engine) DeregistrationDelay(targetGroupARN string) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.groups[targetGroupARN]; g != nil {
		return g.deregistrationDelay()
	}
	return 0
}

// Attached says whether a listener forwards to the group.
func (e *Engine) Attached(targetGroupARN string) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.groups[targetGroupARN]
	if g == nil {
		return false, fmt.Errorf("target group %s is not found", targetGroupARN)
	}
	return len(g.LoadBalancerArns) > 0, nil
}

func (g *group) deregistrationDelay() time.Duration {
	n, err := strconv.Atoi(g.attributes[deregistrationDelay])
	if err != nil {
		return 0 // cannot be: setAttributes checks it
	}
	return time.Duration(n) * time.Second
}

func seconds(n *int32) time.Duration { return time.Duration(*n) * time.Second }

// matches reads a matcher such as "200", "200,202" or "200-299".
func matches(codes string, status int) bool {
	for part := range strings.SplitSeq(codes, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, errFrom := strconv.Atoi(low)
		to, errTo := strconv.Atoi(high)
		if errFrom == nil && errTo == nil && from <= status && status <= to {
			return true
		}
	}
	return false
}
