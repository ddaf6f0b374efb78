package account

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// Options say which account this is and how long answers are kept. Zero durations mean the defaults.
type Options struct {
	Account string // 12 digits
	Region  string

	StackAge     time.Duration // a stack's outputs and status while nothing is rolling, 5 min; else 30 s at most
	TemplateAge  time.Duration // the newest revision of a template's family, 5 min
	ParameterAge time.Duration // the task-definition parameter, which nobody else writes, 2 h
	ImageAge     time.Duration // that an image exists, 10 min
	SecretAge    time.Duration // the ARN of a secret, 10 min
	TasksAge     time.Duration // a service's tasks while DescribeServices hints at no change, 1 min
	ServiceAge   time.Duration // what DescribeServices said, unless this controller has written since; 1 s

	// BatchWait is how long a look at a service, a task or an alarm waits for looks at others, to share one request. Zero, the
	// default, waits for none: it pays only where many workers observe at once.
	BatchWait time.Duration

	Clock func() time.Time // for the time of an observation; nil: time.Now

	// Told, where set, is asked how a migration's task ended that ECS does not show any more.
	Told Told
}

// Told knows from events how tasks ended. An error says that it may still be told, nil that it will not.
type Told interface {
	Ended(task string) (*observed.EndedTask, error)
}

// The default ages.
const (
	stackAge     = 5 * time.Minute
	stackAgeBusy = 30 * time.Second
	templateAge  = 5 * time.Minute
	parameterAge = 2 * time.Hour
	imageAge     = 10 * time.Minute
	secretAge    = 10 * time.Minute
	tasksAge     = time.Minute
	serviceAge   = time.Second
)

// The bounds of what is kept, by number of entries: three revisions for each of 10,000 services, one of everything else.
const (
	revisionsMax  = 30_000
	servicesMax   = 12_000 // an account's ten thousand, and those that were there before them
	looksMax      = 400    // of two seconds: AWS's budget does not allow more
	placementsMax = 1000
	imagesMax     = 20_000
	outputsMax    = 100 // of a minute
)

// Account is one AWS account in one region. It is safe for concurrent use; no lock is held across a call.
type Account struct {
	aws  *client.Clients
	opts Options

	describer  *batcher[described[types.Service]]
	tasker     *batcher[described[types.Task]]
	alarmist   *batcher[observed.Alarm]
	listing    chan struct{} // holds one token: whoever has it lists all stacks
	listed     time.Time     // when that was last begun; belongs to the token
	rest       *string       // where the list goes on that was cut off, nil for none; belongs to the token
	asking     atomic.Int32  // stacks that are asked for by their names now
	stacks     *cache[stack]
	packer     packer            // of templates
	templates  *cache[*template] // by the last part of the name that the stack has for it, and of its ARN
	parameters *cache[string]
	revisions  *cache[revision]
	images     *cache[string] // image → digest
	tags       *cache[string] // repository and tag or digest → digest, empty where it was asked about and not there
	built      *cache[string] // digest → the commit that the image was built of; never forgotten, since a digest's image never changes
	secrets    *cache[string]
	present    *cache[bool]
	versions   *cache[string] // of secrets, by ARN
	services   *cache[*placement]
	placements *cache[*placement] // by their content
	tasks      *cache[taskList]
	looks      *cache[look]
	noticed    *cache[bool]   // services of which an event came
	records    *cache[string] // deployment id → service deployment ARN
	ended      *cache[observed.ServiceDeployment]
	logs       *cache[logState]
	outputs    *cache[[]string] // a stopped migration's ARN → its last lines
}

// New returns the account that the clients speak to.
func New(clients *client.Clients, opts Options) *Account {
	opts.StackAge = or(opts.StackAge, stackAge)
	opts.TemplateAge = or(opts.TemplateAge, templateAge)
	opts.ParameterAge = or(opts.ParameterAge, parameterAge)
	opts.ImageAge = or(opts.ImageAge, imageAge)
	opts.SecretAge = or(opts.SecretAge, secretAge)
	opts.TasksAge = or(opts.TasksAge, tasksAge)
	opts.ServiceAge = or(opts.ServiceAge, serviceAge)
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	return &Account{
		aws: clients, opts: opts,
		describer:  newBatcher(servicesPerCall, opts.BatchWait, describeServices(clients)),
		tasker:     newBatcher(tasksPerCall, opts.BatchWait, describeTasks(clients)),
		alarmist:   newBatcher(alarmsPerCall, opts.BatchWait, describeAlarms(clients)),
		listing:    make(chan struct{}, 1),
		stacks:     newCache[stack](servicesMax),
		templates:  newCache[*template](2 * servicesMax),
		parameters: newCache[string](servicesMax),
		revisions:  newCache[revision](revisionsMax),
		images:     newCache[string](imagesMax),
		tags:       newCache[string](imagesMax),
		built:      newCache[string](imagesMax),
		secrets:    newCache[string](servicesMax),
		services:   newCache[*placement](servicesMax),
		placements: newCache[*placement](placementsMax),
		present:    newCache[bool](servicesMax),
		versions:   newCache[string](servicesMax),
		tasks:      newCache[taskList](servicesMax),
		looks:      newCache[look](looksMax),
		noticed:    newCache[bool](servicesMax),
		records:    newCache[string](servicesMax),
		ended:      newCache[observed.ServiceDeployment](servicesMax),
		logs:       newCache[logState](servicesMax),
		outputs:    newCache[[]string](outputsMax),
	}
}

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}

// Forget drops every answer that is kept: for when somebody else may have changed the account in this controller's stead.
func (a *Account) Forget() {
	for _, c := range []interface{ clear() }{a.stacks, a.templates, a.parameters, a.revisions, a.images, a.tags, a.secrets, a.present,
		a.services, a.tasks, a.looks, a.records, a.ended, a.logs, a.outputs} {
		c.clear()
	}
	select {
	case a.listing <- struct{}{}:
		a.listed, a.rest = time.Time{}, nil
		<-a.listing
	default: // whoever lists now makes them known again
	}
}

// Identity answers the account that the credentials belong to (STS GetCallerIdentity, which needs no permission).
func (a *Account) Identity(ctx context.Context) (string, error) {
	out, err := a.aws.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", deed(err, "ask whose credentials these are")
	}
	return aws.ToString(out.Account), nil
}

// CheckIdentity returns a Blocked error unless the credentials belong to the environment's account.
func (a *Account) CheckIdentity(ctx context.Context) error {
	account, err := a.Identity(ctx)
	if err != nil {
		return err
	}
	if account != a.opts.Account {
		return fault.New(fault.Blocked, "wrong_account", fmt.Errorf(
			"these credentials belong to account %s, the environment's is %s: start the controller with a role of %s",
			account, a.opts.Account, a.opts.Account))
	}
	return nil
}

// partition is the first part of the region's ARNs.
func (a *Account) partition() string {
	switch {
	case strings.HasPrefix(a.opts.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(a.opts.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// name is the last part of an ARN, or the name that was given in its place.
func name(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
