// Package elb is Elastic Load Balancing v2 of the local account: application load balancers with HTTP
// listeners that forward to target groups of IP addresses, and the health of their targets.
//
// A target with an Address is really asked over HTTP and really gets requests from a listener on 127.0.0.1;
// one without is asked through its Probe, and nothing listens.
package elb

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// Config says whose load balancers they are.
type Config struct {
	Account, Region string
	// Listen makes every listener listen on 127.0.0.1; without it there are no requests, only health.
	Listen bool
	// FirstCheck is how long after a registration the first health check comes; zero means one second.
	FirstCheck time.Duration
	// Measure, if set, is told what CloudWatch would measure of requests: namespace AWS/ApplicationELB.
	// targetGroup is "" for what the load balancer answered by itself. Both are dimensions, not ARNs.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
	Measure func(metric, loadBalancer, targetGroup string, value float64)
	// ShortCheckTimeout: HealthCheckTimeoutSeconds is 5 where it is not given, instead of 6. The API reference has 6 for HTTP,
	// other pages have 5.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
	ShortCheckTimeout bool
}

// Engine holds the load balancers of one account and region. It implements ecs.LoadBalancers.
type Engine struct {
	config Config
	ctx    context.Context // ends with Close: health checks under way stop
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu        sync.Mutex
	groups    map[string]*group    // by ARN
	balancers map[string]*balancer // by ARN
	listeners map[string]*listener // by ARN
	rulesMade int                  // the source of rule ids
	realPorts map[string]int       // balancer's name/port → port to listen on

	notify  func(targetGroupARN string, t ecs.Target, h ecs.TargetHealth)
	news    []func()
	telling bool
}

type group struct {
	types.TargetGroup
	attributes map[string]string
	targets    map[string]*target // by id:port
	turn       int                // round robin
}

type balancer struct{ types.LoadBalancer }

type listener struct {
	types.Listener
	route
	rules []*rule       // by priority; without the default one, which is the listener itself
	real  *realListener // nil unless Config.Listen
}

// route shares requests out over target groups by their weights.
type route struct {
	weights map[string]int // target group ARN → weight
	credit  map[string]int
}

// New makes an engine without load balancers. Close must be called.
func New(c Config) *Engine {
	if c.FirstCheck == 0 {
		c.FirstCheck = time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Engine{
		config: c, ctx: ctx, cancel: cancel,
		groups: map[string]*group{}, balancers: map[string]*balancer{}, listeners: map[string]*listener{},
		realPorts: map[string]int{},
	}
}

// Close ends all health checks and listeners and waits for them.
func (e *Engine) Close() {
	e.cancel()
	e.mu.Lock()
	var open []*realListener
	for _, l := range e.listeners {
		if l.real != nil {
			open = append(open, l.real)
		}
	}
	for _, g := range e.groups {
		for _, t := range g.targets {
			t.stopTimer()
		}
	}
	e.mu.Unlock()
	for _, r := range open {
		r.close()
	}
	e.done.Wait()
}

// Notify sets who is told of changed health: in order for each target, without a lock held.
func (e *Engine) Notify(changed func(string, ecs.Target, ecs.TargetHealth)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.notify = changed
}

// say queues news; tell, called without the lock, delivers what is queued. One goroutine delivers at a time,
// so that the order is kept.
func (e *Engine) say(g *group, t *target, h ecs.TargetHealth) {
	if e.notify == nil {
		return
	}
	changed, arn, who := e.notify, *g.TargetGroupArn, t.Target
	e.news = append(e.news, func() { changed(arn, who, h) })
}

func (e *Engine) tell() {
	e.mu.Lock()
	if e.telling {
		e.mu.Unlock()
		return
	}
	e.telling = true
	for len(e.news) > 0 {
		next := e.news[0]
		e.news = e.news[1:]
		e.mu.Unlock()
		next()
		e.mu.Lock()
	}
	e.telling = false
	e.mu.Unlock()
}

// id stands for the 16 random hexadecimal digits at the end of ELB's ARNs; here they derive from the name.
func id(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return fmt.Sprintf("%x", sum[:8])
}

func (e *Engine) arn(resource string) string {
	return "arn:aws:elasticloadbalancing:" + e.config.Region + ":" + e.config.Account + ":" + resource
}
