package account

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
)

// servicesPerCall is DescribeServices' limit.
const servicesPerCall = 10

// describer answers DescribeServices, for several services of a cluster in one request where they are asked about within
// wait of each other. A wait of zero sends each at once.
type describer struct {
	aws  *client.Clients
	wait time.Duration

	mu   sync.Mutex
	open map[string]*batch // by cluster: the one that still takes services
}

type batch struct {
	services []string
	timer    *time.Timer
	done     chan struct{} // closed once out and err are set
	out      *ecs.DescribeServicesOutput
	err      error
}

func (d *describer) describe(ctx context.Context, cluster, service string) (*ecs.DescribeServicesOutput, error) {
	if d.wait <= 0 {
		return d.send(ctx, cluster, []string{service})
	}
	b := d.join(ctx, cluster, service)
	select {
	case <-b.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// What is wrong with one name must not be the others' trouble.
	if len(b.services) > 1 && fault.Is(Classify(b.err), fault.Terminal) {
		return d.send(ctx, cluster, []string{service})
	}
	return b.out, b.err
}

// join adds the service to the cluster's open batch, which is sent when it is full or has waited long enough. A caller who
// gives up does not end the others' request.
func (d *describer) join(ctx context.Context, cluster, service string) *batch {
	ctx = context.WithoutCancel(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.open[cluster]
	if b == nil {
		b = &batch{done: make(chan struct{})}
		b.timer = time.AfterFunc(d.wait, func() { d.flush(ctx, cluster, b) })
		d.open[cluster] = b
	}
	if !slices.Contains(b.services, service) {
		b.services = append(b.services, service)
	}
	if len(b.services) == servicesPerCall {
		delete(d.open, cluster)
		// A timer that has fired already sends the batch itself.
		if b.timer.Stop() {
			go d.fill(ctx, cluster, b)
		}
	}
	return b
}

func (d *describer) flush(ctx context.Context, cluster string, b *batch) {
	d.mu.Lock()
	if d.open[cluster] == b {
		delete(d.open, cluster)
	}
	d.mu.Unlock()
	d.fill(ctx, cluster, b)
}

// fill is called once, when no service is added to the batch any more.
func (d *describer) fill(ctx context.Context, cluster string, b *batch) {
	b.out, b.err = d.send(ctx, cluster, b.services)
	close(b.done)
}

func (d *describer) send(ctx context.Context, cluster string, services []string) (*ecs.DescribeServicesOutput, error) {
	return d.aws.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster: &cluster, Services: services, Include: []types.ServiceField{types.ServiceFieldTags},
	})
}
