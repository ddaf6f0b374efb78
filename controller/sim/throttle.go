package sim

import (
	"context"
	"net/http"
	"slices"

	"golang.org/x/time/rate"

	"github.com/canteen/deploy/controller/sim/wire"
)

// bucket is one of AWS's request limits: burst tokens, refilled by perSecond. All callers of all its
// operations share it.
type bucket struct {
	service    string
	operations []string // empty: all of the service's
	burst      int
	perSecond  rate.Limit
}

// limits are AWS's defaults for one account and region.
//
//	ECS   https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
//	RunTask on Fargate in addition: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html
//	ELB   https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/api-throttling.html (the lower of the page's two figures, unless Config.WideELBLimits)
//	CloudWatch https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
//	Logs  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html (eu-central-1)
//
// Stop- and ContinueServiceDeployment are on no page; they count as service modifications, unless Config.StopsLimitedApart.
// CloudFormation and STS publish no figure; theirs are experience.
var limits = []bucket{
	{"ecs", []string{"CreateCluster", "UpdateCluster", "DeleteCluster"}, 20, 1},
	{"ecs", []string{"DescribeClusters", "ListClusters"}, 50, 20},
	{"ecs", []string{"RegisterTaskDefinition", "DeregisterTaskDefinition"}, 20, 1},
	{"ecs", []string{"DeleteTaskDefinitions"}, 5, 1},
	{"ecs", []string{"DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"}, 50, 20},
	{"ecs", []string{"RunTask", "StartTask", "StopTask", "ExecuteCommand"}, 100, 40},
	{"ecs", []string{"RunTask"}, 20, 20},
	{"ecs", []string{"DescribeTasks", "ListTasks", "DescribeContainerInstances", "ListContainerInstances"}, 100, 20},
	{"ecs", []string{"CreateService", "UpdateService", "DeleteService", "StopServiceDeployment", "ContinueServiceDeployment"}, 50, 5},
	{"ecs", []string{"DescribeServices", "ListServices"}, 100, 20},
	{"ecs", []string{"ListServiceDeployments", "DescribeServiceDeployments"}, 50, 20},
	{"ecs", []string{"DescribeServiceRevisions"}, 50, 20},
	{"ecs", []string{"TagResource", "UntagResource"}, 20, 10},
	{"ecs", []string{"ListTagsForResource"}, 50, 20},
	{"ecs", []string{"PutClusterCapacityProviders"}, 10, 1},
	{"ecs", []string{"DescribeCapacityProviders"}, 50, 20},
	{"ecs", []string{"GetTaskProtection", "UpdateTaskProtection"}, 200, 80},
	{"elasticloadbalancing", nil, 40, 10},
	{"monitoring", []string{"DescribeAlarms"}, 9, 9},
	{"monitoring", []string{"PutMetricAlarm", "PutCompositeAlarm"}, 3, 3},
	{"monitoring", []string{"SetAlarmState"}, 3, 3},
	{"monitoring", []string{"DeleteAlarms"}, 3, 3},
	{"logs", []string{"FilterLogEvents"}, 5, 5},
	{"logs", []string{"GetLogEvents"}, 10, 10},
	{"logs", []string{"DescribeLogStreams"}, 25, 25},
	{"logs", []string{"DescribeLogGroups"}, 10, 10},
	{"cloudformation", nil, 10, 10},
	{"sts", nil, 600, 600},
}

// buckets are the limits of one account, by service and operation.
type buckets struct {
	service   map[string][]*rate.Limiter
	operation map[string][]*rate.Limiter // by service.operation
}

// stops are the operations that no page of limits has. Apart, they have the least of the figures that ECS's page has for an
// operation that changes a service or its cluster.
var stops = bucket{"ecs", []string{"StopServiceDeployment", "ContinueServiceDeployment"}, 10, 1}

func newBuckets(c Config) *buckets {
	b := &buckets{service: map[string][]*rate.Limiter{}, operation: map[string][]*rate.Limiter{}}
	all := limits
	if c.StopsLimitedApart {
		all = append(slices.Clone(limits), stops)
	}
	for _, l := range all {
		if c.WideELBLimits && l.service == "elasticloadbalancing" {
			l.burst, l.perSecond = 200, 50
		}
		if c.StopsLimitedApart && l.perSecond != stops.perSecond {
			l.operations = slices.DeleteFunc(slices.Clone(l.operations), func(op string) bool { return slices.Contains(stops.operations, op) })
		}
		limiter := rate.NewLimiter(l.perSecond, l.burst)
		if len(l.operations) == 0 {
			b.service[l.service] = append(b.service[l.service], limiter)
		}
		for _, op := range l.operations {
			b.operation[l.service+"."+op] = append(b.operation[l.service+"."+op], limiter)
		}
	}
	return b
}

func (b *buckets) middleware(on func() bool) wire.Middleware {
	return func(next wire.Next) wire.Next {
		return func(ctx context.Context, c *wire.Call) (any, error) {
			if on() && (!allowed(b.service[c.Service]) || !allowed(b.operation[c.Service+"."+c.Operation])) {
				return nil, throttled(c.Service)
			}
			return next(ctx, c)
		}
	}
}

func allowed(limiters []*rate.Limiter) bool {
	for _, l := range limiters {
		if !l.Allow() {
			return false
		}
	}
	return true
}

// throttled is the error as the service words it: the query protocol's services say Throttling.
func throttled(service string) error {
	switch service {
	case "elasticloadbalancing", "cloudformation", "monitoring", "sts":
		return &wire.StatusError{Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"}
	default:
		return wire.Throttled()
	}
}
