package account_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/cfn"
	"github.com/canteen/deploy/controller/sim/wire"
)

const fleet = 24

// fleet makes services in stacks of their own.
func (w *world) fleet() {
	for i := range fleet {
		n := fmt.Sprintf("web-%d", i)
		must(w.sim.ECS.CreateService(w.ctx(), &awsecs.CreateServiceInput{
			Cluster: aws.String(cluster), ServiceName: &n, TaskDefinition: aws.String("orders-template"), DesiredCount: aws.Int32(0),
			LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network("subnet-1"),
		}))
		outputs := maps.Clone(w.outputs)
		outputs[account.OutputService] = n
		w.sim.CFN.Put(cfn.Stack{Name: "stack-" + n, Outputs: outputs})
	}
}

// sweep observes every service of the fleet at once and checks that each got its own answer.
func (w *world) sweep(a *account.Account) {
	w.Helper()
	var all sync.WaitGroup
	for i := range fleet {
		all.Go(func() {
			n := fmt.Sprintf("web-%d", i)
			s, err := a.Observe(w.ctx(), nil, observed.Look{Stack: "stack-" + n})
			if err != nil || s.Name != n || s.Status != observed.StatusActive {
				w.Errorf("%s: %s %s, error %v", n, s.Name, s.Status, err)
			}
		})
	}
	all.Wait()
}

func TestSweepSharesRequests(t *testing.T) {
	bubble(t, sim.Config{Seed: 20}, func(w *world) {
		w.fleet()
		a := account.New(client.New(w.sim.AWSConfig(), client.Options{}), account.Options{
			Account: sim.DefaultAccount, Region: sim.DefaultRegion, BatchWait: 10 * time.Millisecond,
		})
		w.sweep(a)
		time.Sleep(6 * time.Minute)
		w.sim.Calls.Reset()
		w.sweep(a)
		counts := w.sim.Calls.Counts()
		if counts["ecs.DescribeServices"] != 3 || counts["cloudformation.DescribeStacks"] != 1 || len(counts) != 2 {
			w.Errorf("a sweep over %d services made %v, want 3 DescribeServices and 1 DescribeStacks", fleet, counts)
		}
	})
}

// After a start no stack is known, nor is one after another controller acted for a while. Asked for one by one, those of ten thousand
// services would take longer than anybody waits.
func TestFirstSweepListsTheStacks(t *testing.T) {
	bubble(t, sim.Config{Seed: 23}, func(w *world) {
		w.fleet()
		a := account.New(client.New(w.sim.AWSConfig(), client.Options{}), account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion})
		for _, after := range []string{"a start", "it was forgotten"} {
			w.sim.Calls.Reset()
			for i := range fleet {
				_, err := a.Observe(w.ctx(), nil, observed.Look{Stack: fmt.Sprintf("stack-web-%d", i)})
				must(0, err)
			}
			if n := w.sim.Calls.Count("cloudformation", "DescribeStacks"); n != 11 {
				w.Errorf("after %s: %d DescribeStacks for %d services that nothing was known of, want 10 by name and one list", after, n, fleet)
			}
			a.Forget()
		}
	})
}

func TestSweepWithoutTheListOfStacks(t *testing.T) {
	bubble(t, sim.Config{Seed: 21}, func(w *world) {
		w.fleet()
		a := account.New(client.New(w.sim.AWSConfig(), client.Options{}), account.Options{
			Account: sim.DefaultAccount, Region: sim.DefaultRegion, BatchWait: 10 * time.Millisecond,
		})
		w.sweep(a)
		time.Sleep(6 * time.Minute)
		w.sim.Calls.Reset()
		first := true
		w.sim.Faults.Add(wire.Fault{Service: "cloudformation", Before: refused("AccessDenied"), When: func(c *wire.Call) bool {
			was := first
			first = false
			return was
		}})
		w.sweep(a)
		if n := w.sim.Calls.Count("cloudformation", "DescribeStacks"); n != fleet+1 {
			w.Errorf("%d DescribeStacks, want one refused list and %d by name", n, fleet)
		}
	})
}

// TestBatchOfManyNamesSurvivesOne gives one batch a name that ECS refuses.
func TestBatchOfManyNamesSurvivesOne(t *testing.T) {
	bubble(t, sim.Config{Seed: 22}, func(w *world) {
		w.fleet()
		w.sim.Faults.Add(wire.Fault{Service: "ecs", Operation: "DescribeServices", Before: &types.InvalidParameterException{}, When: func(c *wire.Call) bool {
			return len(c.Input.(*awsecs.DescribeServicesInput).Services) > 1
		}})
		a := account.New(client.New(w.sim.AWSConfig(), client.Options{}), account.Options{
			Account: sim.DefaultAccount, Region: sim.DefaultRegion, BatchWait: 10 * time.Millisecond,
		})
		w.sweep(a)
	})
}

// A list that the budget cut off is gone on with, not given up: until it was tried anew, thousands would be asked for one by one.
func TestListOfStacksIsGoneOnWith(t *testing.T) {
	bubble(t, sim.Config{Seed: 24, Unthrottled: true}, func(w *world) {
		w.fleet()
		for i := range 280 {
			outputs := maps.Clone(w.outputs)
			outputs[account.OutputService] = "web-0"
			w.sim.CFN.Put(cfn.Stack{Name: fmt.Sprintf("zz-%03d", i), Outputs: outputs})
		}
		a := account.New(client.New(w.sim.AWSConfig(), client.Options{
			Buckets: map[string]client.Bucket{client.BucketStacks: {Burst: 11, Refill: 0.5}}, BurstShare: 1, RefillShare: 1, WaitMax: time.Second,
		}), account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion})
		for i := range 10 {
			_, err := a.Observe(w.ctx(), nil, observed.Look{Stack: fmt.Sprintf("stack-web-%d", i)})
			must(0, err)
		}
		w.sim.Calls.Reset()
		last := observed.Look{Stack: "zz-279"}
		if _, err := a.Observe(w.ctx(), nil, last); !fault.Is(err, fault.Throttled) || w.sim.Calls.Count("cloudformation", "DescribeStacks") != 1 {
			w.Fatalf("error %v after %d DescribeStacks, want that of the budget after one page", err, w.sim.Calls.Count("cloudformation", "DescribeStacks"))
		}
		time.Sleep(30 * time.Second) // much less than a list is not begun anew for
		_, err := a.Observe(w.ctx(), nil, last)
		must(0, err)
		_, err = a.Observe(w.ctx(), nil, observed.Look{Stack: "zz-100"})
		must(0, err)
		if n := w.sim.Calls.Count("cloudformation", "DescribeStacks"); n != 4 {
			w.Errorf("%d DescribeStacks for a list of four pages", n)
		}
	})
}

// Those that ask all at once after a start share the list, too: none is known yet then.
func TestManyAtOnceListTheStacks(t *testing.T) {
	bubble(t, sim.Config{Seed: 25}, func(w *world) {
		w.fleet()
		a := account.New(client.New(w.sim.AWSConfig(), client.Options{}), account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion, BatchWait: 10 * time.Millisecond})
		w.sim.Calls.Reset()
		w.sweep(a)
		if n := w.sim.Calls.Count("cloudformation", "DescribeStacks"); n > 11 {
			w.Errorf("%d DescribeStacks for %d services that all came at once, want 10 by name and one list", n, fleet)
		}
	})
}
