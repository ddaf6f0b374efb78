package client

import (
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

// Clients are the AWS clients, sharing one set of budgets. They are safe for concurrent use.
type Clients struct {
	ECS            *ecs.Client
	ELB            *elb.Client
	Logs           *cloudwatchlogs.Client
	ECR            *ecr.Client
	CloudFormation *cloudformation.Client
	CloudWatch     *cloudwatch.Client
	SSM            *ssm.Client
	STS            *sts.Client
	Secrets        *secretsmanager.Client
	SQS            *sqs.Client
	Downloads      *Downloads
}

// Options are the controller's part of AWS's budgets, and its patience. The zero value is the default.
type Options struct {
	// BurstShare and RefillShare are the parts of each budget that the controller takes, 0.4 by default: CI, Terraform and
	// ECS itself draw on the same ones.
	BurstShare, RefillShare float64
	// Buckets replace AWS's numbers where the account has other quotas, by the Bucket… names.
	Buckets map[string]Bucket
	// WaitMax is how long a request waits for its budget before it fails with a BudgetError; 15 s by default.
	WaitMax time.Duration
	// AttemptMax is how long one attempt may take from sending to the last byte; 10 s by default.
	AttemptMax time.Duration
	// ReadAttempts is how often a read is attempted; 3 by default. A write is attempted once, whatever this says.
	ReadAttempts int
	// MayWrite, where set, is asked when a writing attempt is about to be sent: until when it must have been answered, or
	// why none may begin. Its error is not changed. Nil: writes are bounded by AttemptMax alone.
	MayWrite func() (by time.Time, err error)
	// Jitter answers a number in [0, 1) for the pause between two attempts, to several requests at once. Tests hand in a seeded one.
	Jitter func() float64
	// Clock, where set, is set right by the Date of each answer.
	Clock *Clock
	// Registerer takes the metrics; nil means none.
	Registerer prometheus.Registerer
	// ReadOnly refuses every operation that changes the account with a ReadOnlyError, before anything is sent.
	ReadOnly bool
}

func (o Options) withDefaults() Options {
	if o.BurstShare <= 0 {
		o.BurstShare = 0.4
	}
	if o.RefillShare <= 0 {
		o.RefillShare = 0.4
	}
	if o.WaitMax <= 0 {
		o.WaitMax = 15 * time.Second
	}
	if o.AttemptMax <= 0 {
		o.AttemptMax = 10 * time.Second
	}
	if o.ReadAttempts <= 0 {
		o.ReadAttempts = 3
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return o
}

// New builds every client from cfg, whose retryer is replaced. It panics only where prometheus does: when the registerer
// has other metrics of the same names.
func New(cfg aws.Config, opts Options) *Clients {
	opts = opts.withDefaults()
	g := newGate(opts)
	of := func(service string) aws.Config {
		c := cfg.Copy()
		c.RetryMaxAttempts = 0
		c.Retryer = func() aws.Retryer { return newRetryer(opts) }
		c.APIOptions = append(append([]func(*middleware.Stack) error{}, cfg.APIOptions...), g.install(service), fewEvents)
		return c
	}
	registry := ecr.NewFromConfig(of(serviceECR))
	return &Clients{
		ECS:            ecs.NewFromConfig(of(serviceECS)),
		ELB:            elb.NewFromConfig(of(serviceELB)),
		Logs:           cloudwatchlogs.NewFromConfig(of(serviceLogs)),
		ECR:            registry,
		CloudFormation: cloudformation.NewFromConfig(of(serviceCloudFormation)),
		CloudWatch:     cloudwatch.NewFromConfig(of(serviceCloudWatch)),
		SSM:            ssm.NewFromConfig(of(serviceSSM)),
		STS:            sts.NewFromConfig(of(serviceSTS)),
		Secrets:        secretsmanager.NewFromConfig(of(serviceSecrets)),
		SQS:            sqs.NewFromConfig(of(serviceSQS)),
		Downloads:      newDownloads(cfg.HTTPClient, g, registry.Options().BaseEndpoint),
	}
}
