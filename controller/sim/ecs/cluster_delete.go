package ecs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// DeleteCluster makes a cluster INACTIVE once it has neither ACTIVE or DRAINING services nor tasks that run. DescribeClusters
// shows it for a while; nothing else finds it, and its name is free.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCluster.html
func (e *Engine) DeleteCluster(_ context.Context, in *awsecs.DeleteClusterInput) (*awsecs.DeleteClusterOutput, error) {
	e.lock()
	defer e.unlock()
	if aws.ToString(in.Cluster) == "" {
		return nil, invalid("Cluster can not be blank.")
	}
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	for _, s := range c.services {
		if s.status != serviceInactive {
			return nil, &types.ClusterContainsServicesException{Message: aws.String("The Cluster cannot be deleted while Services are active.")}
		}
	}
	for _, t := range c.tasks {
		if t.status != stopped {
			return nil, &types.ClusterContainsTasksException{Message: aws.String("The Cluster cannot be deleted while Tasks are active.")}
		}
	}
	c.deleted = true
	delete(e.clusters, c.name)
	e.deleted[c.name] = c
	e.after(e.cfg.Timing.InactiveRetention+1, func() {
		if e.deleted[c.name] == c {
			delete(e.deleted, c.name)
		}
	})
	return &awsecs.DeleteClusterOutput{Cluster: new(c.view(true))}, nil
}

// described is cluster, or one of that name that was deleted a short while ago.
func (e *Engine) described(ref string) *cluster {
	if c, err := e.cluster(&ref); err == nil {
		return c
	}
	name := ref
	if kind, path, ok := e.resource(ref); ok && kind == "cluster" && len(path) == 1 {
		name = path[0]
	}
	return e.deleted[name]
}
