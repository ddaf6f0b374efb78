package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/wire"
)

// Observer holds the controller to what must always be true (README.md has the list), by what it can see: the requests
// that take effect in the account, the account's own events, and git. It knows nothing of what the controller thinks.
type Observer struct {
	world *World // its account, its repository and its images; nothing else

	mu         sync.Mutex
	broken     []error
	effects    map[string]int // by operation, of the controller's requests
	order      []string       // the same, one by one
	lastWrite  time.Time
	revisions  map[string]*revision // registered by the controller, by ARN
	services   map[string]*serviceSeen
	migrations map[string]*migrationSeen // by task ARN
	crashes    map[string][]time.Time    // tasks that ended by themselves, by deployment
	completed  map[string]time.Time      // deployments, by id
	gaveUp     map[string]time.Time      // deployments that ECS called FAILED, by id
	seen       map[string]bool           // tasks in crashes
	runs       map[string]time.Time      // when a task was first asked for, by client token
	templates  map[string]time.Time      // when a service's template was changed by hand
}

// revision is a task definition that the controller registered.
type revision struct {
	arn, ask, commit string
	at               time.Time
	definition       *types.TaskDefinition
	restarts         bool // a new value of a secret makes another revision of it: to say so in git makes one too
}

// serviceSeen is what was seen of one service.
type serviceSeen struct {
	first    *int32                // the count before the controller's first write
	rolled   map[string]time.Time  // revisions that were asked for, and when last
	deployed map[string]string     // deployment → revision
	good     map[string]time.Time  // revisions that were called good
	rejected map[string]rejectedAt // by ask
	tries    map[string]int        // by ask that is being rolled out: the retry that git said when it began
	behind   map[string]int        // asks that a breaking migration left behind, and the retry that git said when it began
	back     time.Time             // when it was last rolled to a revision that had been good
}

// rejectedAt is what git said when an ask was called rejected.
type rejectedAt struct {
	retry  int
	checks string
}

// migrationSeen is one migration task.
type migrationSeen struct {
	service, lock, key, tag string
	container               string
	startedAt, endedAt      time.Time
	code                    *int32
	breaking                bool // until its version was rolled and what was good before is noted as left behind
	retry                   int  // what git said when it began
}

func newObserver(w *World) *Observer {
	return &Observer{
		world: w, effects: map[string]int{}, revisions: map[string]*revision{}, services: map[string]*serviceSeen{},
		migrations: map[string]*migrationSeen{}, crashes: map[string][]time.Time{}, completed: map[string]time.Time{}, gaveUp: map[string]time.Time{}, templates: map[string]time.Time{}, runs: map[string]time.Time{}, seen: map[string]bool{},
	}
}

// Err is everything that must not have been, nil while there is nothing.
func (o *Observer) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.broken...)
}

// violation is called with the lock held. Number is the property's in README.md.
func (o *Observer) violation(number int, format string, args ...any) {
	err := fmt.Errorf("property %d is broken: %s", number, fmt.Sprintf(format, args...))
	o.broken = append(o.broken, err)
	o.world.journal.add("BROKEN", "%v", err)
}

func (o *Observer) of(service string) *serviceSeen {
	s := o.services[service]
	if s == nil {
		s = &serviceSeen{rolled: map[string]time.Time{}, deployed: map[string]string{}, good: map[string]time.Time{}, rejected: map[string]rejectedAt{}, tries: map[string]int{}, behind: map[string]int{}}
		o.services[service] = s
	}
	return s
}

// writes are the operations that change the account and that the controller may use.
var writes = []string{"RegisterTaskDefinition", "UpdateService", "RunTask", "StopTask", "TagResource", "PutParameter"}

func isRead(operation string) bool {
	for _, prefix := range []string{"Describe", "List", "Get", "Filter", "BatchGet"} {
		if strings.HasPrefix(operation, prefix) {
			return true
		}
	}
	return false
}

// heard writes down what was asked and what the controller was told. It stands outside the faults.
func (o *Observer) heard() wire.Middleware {
	return func(next wire.Next) wire.Next {
		return func(ctx context.Context, c *wire.Call) (any, error) {
			if in, ok := c.Input.(*awsecs.RunTaskInput); ok {
				o.asksToRun(aws.ToString(in.ClientToken))
			}
			out, err := next(ctx, c)
			switch {
			case c.Service == queueService && err == nil: // hints, no facts
			case c.Service == ledgerService && err == nil: // what is in the ledger is told where it is saved
			case err != nil:
				o.world.journal.add("answer", "%s: %v", c.Operation, err)
			case isRead(c.Operation):
				o.world.journal.add(whoReads, "%s", c.Operation)
			}
			return out, err
		}
	}
}

// asksToRun notes when a task was first asked for: a request whose answer was lost has to be repeated, even when git has moved
// on meanwhile, since nobody knows whether that task runs.
func (o *Observer) asksToRun(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.runs[token].IsZero() {
		o.runs[token] = time.Now()
	}
}

// middleware stands inside the faults: what it sees took effect, whatever the controller is told of it.
func (o *Observer) middleware() wire.Middleware {
	return func(next wire.Next) wire.Next {
		return func(ctx context.Context, c *wire.Call) (any, error) {
			if c.Service == ledgerService || isRead(c.Operation) {
				return next(ctx, c)
			}
			if c.Service == queueService {
				out, err := next(ctx, c)
				if err == nil && c.Operation == "DeleteMessageBatch" {
					o.mustLead(c, sender(ctx)) // who acts, and nobody else, takes what is told
				}
				return out, err
			}
			was, sender := o.look(c), sender(ctx)
			out, err := next(ctx, c)
			switch {
			case out == nil: // without an effect; with one, whoever asked may be answered an error all the same
			case sender == tooLate:
				o.world.journal.add("effect", "%s, late: nobody waits for it any more", c.Operation)
				if in, ok := c.Input.(*awsecs.RunTaskInput); ok { // its task is a migration like any other: who asks again is answered with it
					o.mu.Lock()
					o.ran(in, was, out.(*awsecs.RunTaskOutput))
					o.mu.Unlock()
				}
			default:
				o.mustLead(c, sender)
				o.effect(c, was, out)
			}
			return out, err
		}
	}
}

// look answers the service that a request is about as it is before, nil where it is about none.
func (o *Observer) look(c *wire.Call) *types.Service {
	switch in := c.Input.(type) {
	case *awsecs.UpdateServiceInput:
		return o.world.service(aws.ToString(in.Service))
	case *awsecs.RegisterTaskDefinitionInput:
		return o.world.service(aws.ToString(in.Family))
	case *awsecs.TagResourceInput:
		return o.world.service(last(aws.ToString(in.ResourceArn)))
	case *awsecs.RunTaskInput:
		family, _, _ := strings.Cut(last(aws.ToString(in.TaskDefinition)), ":")
		return o.world.service(family)
	}
	return nil
}

// last is the readable end of an ARN.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// effect holds one request that took effect to the properties.
func (o *Observer) effect(c *wire.Call, was *types.Service, out any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.effects[c.Operation]++
	o.order = append(o.order, c.Operation)
	o.lastWrite = time.Now()
	if !slices.Contains(writes, c.Operation) {
		o.violation(7, "the controller has no business with %s", c.Operation)
		return
	}
	switch in := c.Input.(type) {
	case *awsecs.RegisterTaskDefinitionInput:
		o.registered(in, was, out.(*awsecs.RegisterTaskDefinitionOutput))
	case *awsecs.UpdateServiceInput:
		o.updated(in, was, out.(*awsecs.UpdateServiceOutput))
	case *awsecs.RunTaskInput:
		o.ran(in, was, out.(*awsecs.RunTaskOutput))
	case *awsecs.StopTaskInput:
		o.stopped(in)
	case *awsecs.TagResourceInput:
		o.tagged(in, was)
	case *ssm.PutParameterInput:
		o.kept(in)
	}
}

// event is told every change in the account.
func (o *Observer) event(e ecs.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.Task == nil {
		o.world.journal.add("ecs", "%s %s %s %s", last(e.Service), e.Name, e.Deployment, e.Reason)
		switch e.Name {
		case "SERVICE_DEPLOYMENT_COMPLETED":
			o.completed[e.Deployment] = e.At
		case "SERVICE_DEPLOYMENT_FAILED":
			o.gaveUp[e.Deployment] = e.At
		}
		return
	}
	arn := aws.ToString(e.Task.TaskArn)
	if m := o.migrations[arn]; m != nil && aws.ToString(e.Task.LastStatus) == "STOPPED" {
		m.endedAt = e.At
		for _, c := range e.Task.Containers {
			// What was stopped says nothing by its code; other containers are AWS's, or stand beside it.
			if e.Task.StopCode == types.TaskStopCodeEssentialContainerExited && aws.ToString(c.Name) == m.container {
				m.code = c.ExitCode
			}
		}
		o.world.journal.add("ecs", "the migration of %s has ended: %s", m.tag, aws.ToString(e.Task.StoppedReason))
		return
	}
	if aws.ToString(e.Task.LastStatus) == "STOPPED" {
		o.world.journal.add("ecs", "task %s of %s stopped: %s", last(arn)[:8], last(aws.ToString(e.Task.TaskDefinitionArn)), aws.ToString(e.Task.StoppedReason))
	}
	o.crashed(e, arn)
}

// crashed writes down when a task ended by itself, once for each task.
func (o *Observer) crashed(e ecs.Event, arn string) {
	deployment := aws.ToString(e.Task.StartedBy)
	if e.Task.StopCode != types.TaskStopCodeEssentialContainerExited || o.seen[arn] {
		return
	}
	o.seen[arn] = true
	o.crashes[deployment] = append(o.crashes[deployment], e.At)
}
