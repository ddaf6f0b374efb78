package ecs

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

type cluster struct {
	name, arn string
	providers []string
	strategy  []types.CapacityProviderStrategyItem
	settings  []types.ClusterSetting
	tags      tags
	services  map[string]*service // by name; INACTIVE ones until they expire
	tasks     map[string]*task    // by id; STOPPED ones until they expire

	provisioning int // tasks in that state
	deleted      bool
}

var nameRE = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// cluster finds a cluster by name or ARN; nil means "default".
func (e *Engine) cluster(ref *string) (*cluster, error) {
	name := aws.ToString(ref)
	if name == "" {
		name = "default"
	}
	if strings.HasPrefix(name, "arn:") {
		kind, path, ok := e.resource(name)
		if !ok || kind != "cluster" || len(path) != 1 {
			return nil, invalid("Invalid identifier: %s", name)
		}
		name = path[0]
	}
	if c := e.clusters[name]; c != nil {
		return c, nil
	}
	return nil, &types.ClusterNotFoundException{Message: aws.String("Cluster not found.")}
}

// CreateCluster makes a cluster for Fargate, or returns the one of that name.
func (e *Engine) CreateCluster(_ context.Context, in *awsecs.CreateClusterInput) (*awsecs.CreateClusterOutput, error) {
	if err := only(in, "", "ClusterName", "Tags", "CapacityProviders", "DefaultCapacityProviderStrategy", "Settings"); err != nil {
		return nil, err
	}
	name := aws.ToString(in.ClusterName)
	if name == "" {
		name = "default"
	}
	if !nameRE.MatchString(name) {
		return nil, invalid("Cluster name must match %s", nameRE)
	}
	if err := knownProviders(in.CapacityProviders); err != nil {
		return nil, err
	}
	if err := fargateStrategy(in.DefaultCapacityProviderStrategy, in.CapacityProviders); err != nil {
		return nil, err
	}
	t, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	c := e.clusters[name]
	if c == nil {
		if len(e.clusters) >= e.cfg.Quotas.Clusters {
			return nil, client("The maximum number of clusters has been reached.")
		}
		c = &cluster{
			name: name, arn: e.arn("cluster", name),
			providers: slices.Clone(in.CapacityProviders), strategy: clone(in.DefaultCapacityProviderStrategy),
			settings: clone(in.Settings), tags: t,
			services: map[string]*service{}, tasks: map[string]*task{},
		}
		e.clusters[name] = c
		e.makeRole()
	}
	return &awsecs.CreateClusterOutput{Cluster: new(c.view(true))}, nil
}

// DescribeClusters describes up to 100 clusters; absent ones are failures with
// reason MISSING.
func (e *Engine) DescribeClusters(_ context.Context, in *awsecs.DescribeClustersInput) (*awsecs.DescribeClustersOutput, error) {
	for _, f := range in.Include {
		if f != types.ClusterFieldTags && f != types.ClusterFieldSettings {
			return nil, unsupported("include %s is not modelled by this local account", f)
		}
	}
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{"default"}
	}
	if len(refs) > 100 {
		return nil, invalid("Clusters cannot have more than 100 elements")
	}
	e.lock()
	defer e.unlock()
	out := &awsecs.DescribeClustersOutput{Clusters: []types.Cluster{}, Failures: []types.Failure{}}
	for _, ref := range refs {
		if c := e.described(ref); c != nil {
			out.Clusters = append(out.Clusters, c.view(slices.Contains(in.Include, types.ClusterFieldTags)))
			continue
		}
		arn := ref
		if !strings.HasPrefix(arn, "arn:") {
			arn = e.arn("cluster", ref)
		}
		out.Failures = append(out.Failures, missing(arn))
	}
	return out, nil
}

func missing(arn string) types.Failure {
	return types.Failure{Arn: aws.String(arn), Reason: aws.String("MISSING")}
}

func (c *cluster) view(withTags bool) types.Cluster {
	v := types.Cluster{
		ClusterArn: aws.String(c.arn), ClusterName: aws.String(c.name), Status: aws.String("ACTIVE"),
		CapacityProviders:               slices.Clone(c.providers),
		DefaultCapacityProviderStrategy: clone(c.strategy),
		Settings:                        clone(c.settings),
		Statistics:                      []types.KeyValuePair{},
	}
	if c.deleted {
		v.Status = aws.String("INACTIVE")
	}
	for _, s := range c.services {
		if s.status == serviceActive {
			v.ActiveServicesCount++
		}
	}
	for _, t := range c.tasks {
		if t.status == running {
			v.RunningTasksCount++
		} else if t.wanted && t.status < running {
			v.PendingTasksCount++
		}
	}
	if withTags {
		v.Tags = c.tags.list()
	}
	return v
}

func (c *cluster) sortedTasks() []*task {
	return slices.SortedFunc(maps.Values(c.tasks), func(a, b *task) int { return strings.Compare(a.arn, b.arn) })
}
