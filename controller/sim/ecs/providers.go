package ecs

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Fargate's own capacity providers are in every account; others are not
// modelled.
const (
	fargate     = "FARGATE"
	fargateSpot = "FARGATE_SPOT"
)

var fargateProviders = []string{fargate, fargateSpot}

var errProviderAbsent = invalid("The specified capacity provider was not found. Specify a valid name or ARN and try again.")

func knownProviders(names []string) error {
	for _, name := range names {
		if !slices.Contains(fargateProviders, name) {
			return errProviderAbsent
		}
	}
	return nil
}

// fargateStrategy checks a capacity provider strategy against the providers of
// a cluster (CapacityProviderStrategyItem in the API reference).
func fargateStrategy(items []types.CapacityProviderStrategyItem, of []string) error {
	bases, weights := 0, int32(0)
	for i, item := range items {
		name := aws.ToString(item.CapacityProvider)
		switch {
		case !slices.Contains(of, name):
			return errProviderAbsent
		case item.Base < 0 || item.Base > 100000 || item.Weight < 0 || item.Weight > 1000:
			return invalid("capacityProviderStrategy base must be between 0 and 100000 and weight between 0 and 1000.")
		case slices.ContainsFunc(items[:i], func(o types.CapacityProviderStrategyItem) bool { return aws.ToString(o.CapacityProvider) == name }):
			return invalid("The capacity provider %s is used more than once in the strategy.", name)
		}
		if item.Base > 0 {
			bases++
		}
		weights += item.Weight
	}
	switch {
	case bases > 1:
		return invalid("Only one capacity provider in a strategy can have a base defined.")
	case len(items) > 1 && weights == 0:
		return invalid("At least one capacity provider in a strategy must have a weight greater than 0.")
	}
	return nil
}

// pickProvider says where the next task goes: first the base, then by weights.
// have counts the tasks that there are.
func pickProvider(strategy []types.CapacityProviderStrategyItem, have map[string]int) string {
	best, lowest := "", 0.0
	for _, item := range strategy {
		name, n := aws.ToString(item.CapacityProvider), have[aws.ToString(item.CapacityProvider)]
		if n < int(item.Base) {
			return name
		}
		weight := float64(item.Weight)
		if weight == 0 && len(strategy) == 1 {
			weight = 1
		}
		if weight == 0 {
			continue
		}
		if share := float64(n-int(item.Base)) / weight; best == "" || share < lowest {
			best, lowest = name, share
		}
	}
	return best
}

// pickProviders says where n tasks that start together go.
func pickProviders(strategy []types.CapacityProviderStrategyItem, n int) []string {
	have := map[string]int{}
	out := make([]string, n)
	for i := range out {
		out[i] = pickProvider(strategy, have)
		have[out[i]]++
	}
	return out
}

// DescribeCapacityProviders describes FARGATE and FARGATE_SPOT; others are
// failures with reason MISSING. Pages have 10 unless asked otherwise.
func (e *Engine) DescribeCapacityProviders(_ context.Context, in *awsecs.DescribeCapacityProvidersInput) (*awsecs.DescribeCapacityProvidersOutput, error) {
	if len(in.CapacityProviders) > 100 {
		return nil, invalid("capacityProviders cannot have more than 100 elements.")
	}
	if in.MaxResults != nil && *in.MaxResults > 10 {
		return nil, invalid("maxResults must be between 1 and 10")
	}
	e.lock()
	defer e.unlock()
	var of []string
	if in.Cluster != nil {
		c, err := e.cluster(in.Cluster)
		if err != nil {
			return nil, err
		}
		of = c.providers
	}
	out := &awsecs.DescribeCapacityProvidersOutput{CapacityProviders: []types.CapacityProvider{}, Failures: []types.Failure{}}
	names := fargateProviders
	if len(in.CapacityProviders) > 0 {
		names = nil
		for _, ref := range in.CapacityProviders {
			if _, path, ok := e.resource(ref); ok && len(path) == 1 {
				ref = path[0]
			}
			if knownProviders([]string{ref}) != nil {
				out.Failures = append(out.Failures, missing(e.arn("capacity-provider", ref)))
				continue
			}
			names = append(names, ref)
		}
	}
	if in.Cluster != nil {
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !slices.Contains(of, n) })
	}
	names = slices.Clone(names)
	slices.Sort(names)
	names, next, err := e.page(listing("DescribeCapacityProviders"), slices.Compact(names), false, in.NextToken, in.MaxResults, 10)
	if err != nil {
		return nil, err
	}
	out.NextToken = next
	for _, name := range names {
		out.CapacityProviders = append(out.CapacityProviders, types.CapacityProvider{
			Name: aws.String(name), CapacityProviderArn: aws.String(e.arn("capacity-provider", name)), Status: types.CapacityProviderStatusActive,
		})
	}
	return out, nil
}

// PutClusterCapacityProviders sets a cluster's providers and its default
// strategy. A provider that a service or task still uses stays.
func (e *Engine) PutClusterCapacityProviders(_ context.Context, in *awsecs.PutClusterCapacityProvidersInput) (*awsecs.PutClusterCapacityProvidersOutput, error) {
	switch {
	case in.CapacityProviders == nil:
		return nil, invalid("capacityProviders must be given.")
	case in.DefaultCapacityProviderStrategy == nil:
		return nil, invalid("defaultCapacityProviderStrategy must be given.")
	}
	if err := knownProviders(in.CapacityProviders); err != nil {
		return nil, err
	}
	if err := fargateStrategy(in.DefaultCapacityProviderStrategy, in.CapacityProviders); err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	for _, s := range c.services {
		for _, item := range s.strategy {
			if p := aws.ToString(item.CapacityProvider); s.status != serviceInactive && !slices.Contains(in.CapacityProviders, p) {
				return nil, &types.ResourceInUseException{Message: aws.String("The specified capacity provider is in use and cannot be removed: " + p)}
			}
		}
	}
	c.providers, c.strategy = slices.Clone(in.CapacityProviders), clone(in.DefaultCapacityProviderStrategy)
	return &awsecs.PutClusterCapacityProvidersOutput{Cluster: new(c.view(true))}, nil
}

// InterruptSpot takes a FARGATE_SPOT task away as Fargate does: its containers
// get SIGTERM at once, which is the two minutes' warning, and SIGKILL after
// their stopTimeout, which is at most as long (developer guide,
// fargate-capacity-providers).
func (e *Engine) InterruptSpot(taskARN string) error {
	e.lock()
	defer e.unlock()
	_, path, _ := e.resource(taskARN)
	if len(path) != 2 || e.clusters[path[0]] == nil || e.clusters[path[0]].tasks[path[1]] == nil {
		return invalid("The referenced task was not found.")
	}
	t := e.clusters[path[0]].tasks[path[1]]
	if t.plan.capacityProvider != fargateSpot {
		return invalid("Task %s does not run on FARGATE_SPOT.", t.id)
	}
	e.stop(t, types.TaskStopCodeSpotInterruption, "Your Spot Task was interrupted.")
	return nil
}
