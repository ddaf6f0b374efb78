// Package sim is an AWS account in one process: Amazon ECS and the services around it, for the operations that
// a deployment uses, over the real wire protocols. Any AWS client works on it.
//
// Tasks are modelled (package script) or real processes of this machine (package process). Time is the time
// package's: real, or virtual inside a testing/synctest bubble, where hours pass in milliseconds. What the
// account does not model it refuses by name.
package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/canteen/deploy/controller/sim/alarms"
	"github.com/canteen/deploy/controller/sim/autoscaling"
	"github.com/canteen/deploy/controller/sim/cfn"
	"github.com/canteen/deploy/controller/sim/dynamodb"
	"github.com/canteen/deploy/controller/sim/ecr"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/elb"
	"github.com/canteen/deploy/controller/sim/events"
	"github.com/canteen/deploy/controller/sim/logs"
	"github.com/canteen/deploy/controller/sim/process"
	"github.com/canteen/deploy/controller/sim/script"
	"github.com/canteen/deploy/controller/sim/secrets"
	"github.com/canteen/deploy/controller/sim/sqs"
	"github.com/canteen/deploy/controller/sim/ssm"
	"github.com/canteen/deploy/controller/sim/sts"
	"github.com/canteen/deploy/controller/sim/wire"
)

// AccessKey is what requests of AWSConfig's clients are signed with.
const AccessKey = "AKIALOCALACCOUNT"

// What an account is where its Config says nothing else.
const (
	DefaultAccount = "000000000000"
	DefaultRegion  = "eu-central-1"
)

// Config says what an account is like. Its zero is an account of modelled tasks at AWS's speed, throttled as
// AWS throttles.
type Config struct {
	Account string // 12 digits; empty: DefaultAccount
	Region  string // empty: DefaultRegion
	Seed    uint64 // one seed, one sequence of ids and latencies

	Timing ecs.Timing // zero: ecs.DefaultTiming()
	Doubts ecs.Doubts
	Quotas ecs.Quotas // what is zero: AWS's default
	VPC    ecs.VPC    // nil: the seed's, else every subnet and security group exists

	// NoServiceLinkedRole makes an account that never had a cluster: see ecs.Config.
	NoServiceLinkedRole bool

	Book script.Book // what modelled images do, before what a seed file says of them

	// Processes runs images that have a process as processes, and lets load balancers listen on 127.0.0.1.
	// It needs real time.
	Processes bool
	Dir       string // where processes work; empty: the system's temporary folder

	// Unthrottled leaves AWS's request limits out. WideELBLimits takes, of the two figures that AWS's page has for Elastic Load
	// Balancing, the table's (200 at once, 50 a second) instead of the text's (40 and 10). StopsLimitedApart gives
	// StopServiceDeployment and ContinueServiceDeployment, which are on no page, a limit of their own (10 at once, one a second)
	// instead of that of the operations that change services.
	Unthrottled, WideELBLimits, StopsLimitedApart bool
	// ShortCheckTimeout: a target group's health check times out after 5 s where nothing is said, instead of 6: see elb.Config.
	ShortCheckTimeout bool
	// Middleware stands between the clients and the account, the first outermost.
	Middleware []wire.Middleware
	Observe    func(ecs.Event) // see ecs.Config

	// Hook answers for Lambda functions that are lifecycle hooks and that no seed file knows. A hook whose function
	// neither knows fails, as one does on AWS whose function is not there. See ecs.Config.
	Hook func(ecs.HookCall) ecs.HookAnswer
}

// Account is one running account. Its engines may be used directly: that is neither throttled nor in Calls.
type Account struct {
	ECS         *ecs.Engine
	ELB         *elb.Engine
	Logs        *logs.Engine
	Alarms      *alarms.Engine
	ECR         *ecr.Engine
	CFN         *cfn.Engine
	Secrets     *secrets.Engine
	SSM         *ssm.Engine
	SQS         *sqs.Engine
	Events      *events.Engine
	AutoScaling *autoscaling.Engine
	DynamoDB    *dynamodb.Engine

	Faults *wire.Faults // what goes wrong between clients and the account; none at first
	Calls  *CallLog     // what clients asked, and what they were answered

	config    Config
	mux       *wire.Mux
	layers    wire.Next // downloads of layers, through the same middleware as every call
	direct    *wire.Mux // the same without middleware, for seeds
	processes *process.Runner

	throttles atomic.Bool

	mu       sync.Mutex
	book     script.Book // set by SetBook
	seedBook script.Book
	scripts  *script.Runner
	hooks    map[string]SeedHook // by function ARN

	faults  namedFaults
	network *network
}

// New makes an account with nothing in it. Close must be called.
func New(c Config) (*Account, error) {
	if c.Account == "" {
		c.Account = DefaultAccount
	}
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	a := &Account{
		config: c, book: c.Book, scripts: script.New(c.Book), Faults: &wire.Faults{}, Calls: &CallLog{}, hooks: map[string]SeedHook{},
		network: &network{region: c.Region, next: c.VPC, gone: map[string]int{}},
		Logs:    logs.New(c.Account, c.Region),
		Alarms:  alarms.New(c.Account, c.Region),
		ECR:     ecr.New(ecr.Config{Account: c.Account, Region: c.Region, Spec: specOfManifest}),
		CFN:     cfn.New(c.Account, c.Region),
		Secrets: secrets.New(c.Account, c.Region),
		SSM:     ssm.New(c.Account, c.Region),
		SQS:     sqs.New(c.Account, c.Region),

		DynamoDB: dynamodb.New(),
	}
	a.ELB = elb.New(elb.Config{Account: c.Account, Region: c.Region, Listen: c.Processes, Measure: a.measureRequest, ShortCheckTimeout: c.ShortCheckTimeout})
	a.Events = events.New(events.Config{Account: c.Account, Region: c.Region, Seed: c.Seed, Send: a.sendEvent})
	a.Alarms.Observe(a.tellAlarm)
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *Account) open() error {
	c := a.config
	if c.Processes {
		r, err := process.New(c.Dir)
		if err != nil {
			return err
		}
		a.processes = r
	}
	engine, err := ecs.New(ecs.Config{
		Account: c.Account, Region: c.Region, Seed: c.Seed, Timing: c.Timing, Doubts: c.Doubts, Observe: a.observe,
		Runner: runner{a}, LoadBalancers: a.ELB, Images: images{a}, Secrets: values{a}, Logs: a.Logs,
		Alarms: a.Alarms, Hook: a.callHook, VPC: a.network, Quotas: c.Quotas, NoServiceLinkedRole: c.NoServiceLinkedRole,
	})
	if err != nil {
		return err
	}
	a.ECS = engine
	a.AutoScaling = autoscaling.New(c.Account, c.Region, a.ECS)
	services := []wire.Service{
		wire.ECS(a.ECS), wire.ELB(a.ELB), wire.CloudWatch(a.Alarms), wire.Logs(a.Logs), wire.ECR(a.ECR),
		wire.CloudFormation(a.CFN), wire.SecretsManager(a.Secrets), wire.SSM(a.SSM), wire.STS(&sts.Engine{Account: c.Account}),
		wire.SQS(a.SQS), wire.EventBridge(a.Events), wire.AutoScaling(a.AutoScaling), wire.DynamoDB(a.DynamoDB),
	}
	middleware := []wire.Middleware{a.Calls.middleware()}
	middleware = append(middleware, c.Middleware...)
	middleware = append(middleware, a.Faults.Middleware())
	a.Throttle(!c.Unthrottled)
	middleware = append(middleware, newBuckets(c).middleware(a.throttles.Load))
	if a.mux, err = wire.New(middleware, services...); err != nil {
		return err
	}
	a.layers = a.downloads(middleware)
	a.direct, err = wire.New(nil, services...)
	return err
}

// Close ends everything that runs in the account: tasks, listeners, timers.
func (a *Account) Close() error {
	var err error
	if a.ECS != nil {
		a.ECS.Close()
	}
	a.ELB.Close()
	a.Alarms.Close()
	a.Events.Close()
	if a.processes != nil {
		err = a.processes.Close()
	}
	return err
}

// RoundTripper reaches the account without sockets: see wire.Mux.RoundTripper.
func (a *Account) RoundTripper() http.RoundTripper { return transport{a, a.mux.RoundTripper()} }

// Handler reaches the account over HTTP. Its path /_faults lists, adds and clears named faults (README.md), for
// clients of this machine only.
func (a *Account) Handler() http.Handler {
	h := http.NewServeMux()
	h.HandleFunc("/", a.serve)
	h.HandleFunc(faultsPath, a.serveFaults)
	return h
}

// Operations lists, by service, what clients can ask.
func (a *Account) Operations() map[string][]string {
	out := map[string][]string{}
	for _, s := range a.mux.Services() {
		out[s] = a.mux.Operations(s)
	}
	return out
}

// AWSConfig configures SDK clients for this account, in process. It is made by hand: no environment variable
// and no file of this machine is read. Retries are the SDK's own.
func (a *Account) AWSConfig() aws.Config {
	return aws.Config{
		Region: a.config.Region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: "local", Source: "local account", AccountID: a.config.Account}, nil
		}),
		HTTPClient: &http.Client{Transport: a.RoundTripper()},
	}
}

// Throttle makes AWS's request limits hold from now on, or not, whatever Config.Unthrottled was.
func (a *Account) Throttle(on bool) { a.throttles.Store(on) }

// SetBook replaces Config.Book, for containers that start from now on. What a seed file says of images stays,
// after the book. What the book has must not be changed afterwards.
func (a *Account) SetBook(book script.Book) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.book = book
	a.setBook()
}

// setBook is called with the lock held.
func (a *Account) setBook() {
	a.scripts.Set(a.faults.book(), a.book, a.seedBook)
}

// images finds images in the registry. One of another registry is always there, as its rules say.
type images struct{ account *Account }

func (i images) Resolve(ref string) (string, ecs.ImageSpec, error) {
	digest, spec, err := i.account.scripts.Resolve(ref)
	if err != nil || !isECR(ref) {
		return digest, spec, err
	}
	return i.account.ECR.Resolve(ref)
}

// values finds secrets where their ARN says.
type values struct{ account *Account }

func (v values) Value(valueFrom string) (string, error) {
	if isSecretARN(valueFrom) {
		return v.account.Secrets.Resolve(valueFrom)
	}
	return v.account.SSM.Resolve(valueFrom)
}

// runner runs a task's containers as their images say.
type runner struct{ account *Account }

func (r runner) Start(l ecs.Launch, report func(ecs.Report)) (ecs.Process, error) {
	var real, modelled []ecs.ContainerSpec
	for _, c := range l.Containers {
		if _, ok := c.Spec.(*process.Spec); ok {
			real = append(real, c)
		} else {
			modelled = append(modelled, c)
		}
	}
	var both pair
	if len(real) > 0 {
		if r.account.processes == nil {
			return nil, fmt.Errorf("CannotStartContainerError: image %s is a process, and this account runs modelled tasks only", real[0].Image)
		}
		l.Containers = real
		p, err := r.account.processes.Start(l, report)
		if err != nil {
			return nil, err
		}
		both = append(both, p)
	}
	if len(modelled) > 0 {
		l.Containers = modelled
		p, err := r.account.scripts.Start(l, report)
		if err != nil {
			both.Stop()
			return nil, err
		}
		both = append(both, p)
	}
	return both, nil
}

// pair is a task of both kinds of containers.
type pair []ecs.Process

func (p pair) Stop() {
	for _, one := range p {
		one.Stop()
	}
}

func (p pair) Address(port int32) string {
	for _, one := range p {
		if at := one.Address(port); at != "" {
			return at
		}
	}
	return ""
}

func (p pair) Probe(port int32) ecs.Answer {
	var answer ecs.Answer
	for _, one := range p {
		if answer = one.Probe(port); answer != (ecs.Answer{}) {
			return answer
		}
	}
	return answer
}
