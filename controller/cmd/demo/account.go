package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/canteen/deploy/controller/permit"
	"github.com/canteen/deploy/controller/sim"
	simecs "github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/iam"
	"github.com/canteen/deploy/controller/sim/wire"
)

//go:embed account.yaml
var demoSeed string

// The names that account.yaml gives.
const (
	cluster    = "order-processing-dev"
	service    = "order-processing"
	repository = "order-processing"
	balancer   = "order-processing-dev"
	container  = "AppContainer"
)

// openAccount makes the account, with its delays shortened and its clock as it is. endpoint is where it will be served.
func openAccount(ctx context.Context, dir, seedFile, endpoint string) (*sim.Account, error) {
	guard, err := newGuard()
	if err != nil {
		return nil, err
	}
	account, err := sim.New(sim.Config{
		Seed: 1, Timing: simecs.FastTiming(), Processes: true, Dir: dir, Middleware: []wire.Middleware{guard.Middleware()},
	})
	if err != nil {
		return nil, err
	}
	if err := plant(ctx, account, dir, seedFile, endpoint); err != nil {
		_ = account.Close()
		return nil, err
	}
	return account, nil
}

func plant(ctx context.Context, account *sim.Account, dir, seedFile, endpoint string) error {
	var seed []byte
	from := dir
	if seedFile == "" {
		queue, err := createQueue(ctx, account)
		if err != nil {
			return err
		}
		seed = []byte(strings.NewReplacer("@DATABASE@", filepath.Join(dir, "orders.db"), "@QUEUE@", queue, "@ENDPOINT@", endpoint).Replace(demoSeed))
	} else {
		data, err := os.ReadFile(seedFile)
		if err != nil {
			return fmt.Errorf("read the seed: %w", err)
		}
		seed, from = data, filepath.Dir(seedFile)
	}
	parsed, err := sim.ReadSeed(seed, from)
	if err != nil {
		return err
	}
	return account.Plant(ctx, parsed)
}

// createQueue makes the queue of order events, first in first out for each school, and its dead letters.
func createQueue(ctx context.Context, account *sim.Account) (url string, err error) {
	client := sqs.NewFromConfig(account.AWSConfig())
	attributes := map[string]string{"FifoQueue": "true"}
	for _, name := range []string{"order-processing-dev-dead.fifo", "order-processing-dev.fifo"} {
		out, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			return "", fmt.Errorf("create queue %s: %w", name, err)
		}
		url = aws.ToString(out.QueueUrl)
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:%s:%s","maxReceiveCount":5}`, sim.DefaultRegion, sim.DefaultAccount, name)
	}
	return url, nil
}

// controllerKey is what the controller signs with: it may do what the infrastructure's policy allows, and no more. Everybody else
// in the story is the account's owner.
const controllerKey = "AKIACONTROLLER"

func newGuard() (*iam.Guard, error) {
	policy, err := permit.Policy()
	if err != nil {
		return nil, err
	}
	guard := iam.NewGuard(iam.Place{Account: sim.DefaultAccount, Region: sim.DefaultRegion})
	guard.Bind(controllerKey, policy)
	return guard, nil
}

// deployByHand is what a person does in the console at 3 a.m.: a copy of what runs with one setting changed, deployed
// without git.
func deployByHand(ctx context.Context, cfg aws.Config) (revision string, err error) {
	client := ecs.NewFromConfig(cfg)
	running, err := lookAtService(ctx, client)
	if err != nil {
		return "", err
	}
	out, err := client.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: running.TaskDefinition})
	if err != nil {
		return "", fmt.Errorf("read what runs: %w", err)
	}
	td := out.TaskDefinition
	for i := range td.ContainerDefinitions {
		td.ContainerDefinitions[i].Environment = append(td.ContainerDefinitions[i].Environment, ecstypes.KeyValuePair{Name: aws.String("MAX_IN_FLIGHT"), Value: aws.String("64")})
	}
	registered, err := client.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: td.Family, ContainerDefinitions: td.ContainerDefinitions, Cpu: td.Cpu, Memory: td.Memory, NetworkMode: td.NetworkMode,
		RequiresCompatibilities: td.RequiresCompatibilities, ExecutionRoleArn: td.ExecutionRoleArn, TaskRoleArn: td.TaskRoleArn,
	})
	if err != nil {
		return "", fmt.Errorf("register by hand: %w", err)
	}
	arn := aws.ToString(registered.TaskDefinition.TaskDefinitionArn)
	if _, err := client.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(service), TaskDefinition: &arn}); err != nil {
		return "", fmt.Errorf("deploy by hand: %w", err)
	}
	return arn[strings.LastIndexByte(arn, '/')+1:], nil
}

// serving is the id of the deployment that serves, as the account tells it: the controller may be down at that moment.
func serving(ctx context.Context, cfg aws.Config) (deployment string, err error) {
	found, err := lookAtService(ctx, ecs.NewFromConfig(cfg))
	if err != nil {
		return "", err
	}
	for _, d := range found.Deployments {
		if aws.ToString(d.Status) == "PRIMARY" {
			return aws.ToString(d.Id), nil
		}
	}
	return "", fmt.Errorf("service %s has no primary deployment", service)
}

func lookAtService(ctx context.Context, client *ecs.Client) (ecstypes.Service, error) {
	out, err := client.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
	if err != nil {
		return ecstypes.Service{}, fmt.Errorf("look at the service: %w", err)
	}
	if len(out.Services) == 0 {
		return ecstypes.Service{}, fmt.Errorf("look at the service: cluster %s has no service %s", cluster, service)
	}
	return out.Services[0], nil
}

// listen opens an address of this machine; where its port is taken, a free one.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := sim.Listen(ctx, addr)
	if err == nil {
		return l, nil
	}
	host, port, splitErr := net.SplitHostPort(addr)
	if splitErr != nil || port == "0" {
		return nil, err
	}
	if l, freeErr := sim.Listen(ctx, net.JoinHostPort(host, "0")); freeErr == nil {
		return l, nil
	}
	return nil, err
}

// balancerAddress is where the load balancer listens on this machine.
func balancerAddress(ctx context.Context, account *sim.Account) (string, error) {
	balancers, err := account.ELB.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{balancer}})
	if err != nil {
		return "", fmt.Errorf("find the load balancer: %w", err)
	}
	listeners, err := account.ELB.DescribeListeners(ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: balancers.LoadBalancers[0].LoadBalancerArn})
	if err != nil || len(listeners.Listeners) == 0 {
		return "", fmt.Errorf("find the load balancer's listener: %w", err)
	}
	return account.ELB.Address(aws.ToString(listeners.Listeners[0].ListenerArn)), nil
}
