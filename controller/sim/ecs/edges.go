package ecs

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The engine calls its neighbours one at a time, from one goroutine, in the
// order in which things happened, and never holds its own lock meanwhile: a
// neighbour may call back. It should not block for long, since every other
// effect waits behind it.

// Runner runs the containers of tasks.
type Runner interface {
	// Start runs all containers of one task and returns once they are started;
	// it does not wait for them. An error becomes the task's stoppedReason word
	// for word (stopCode TaskFailedToStart), for example
	// "CannotStartContainerError: …".
	//
	// report may be called from any goroutine, also before Start returned: once
	// per container with its Exit, and whenever a container's health changes.
	Start(l Launch, report func(Report)) (Process, error)
}

// Process is one task's running containers.
type Process interface {
	// Stop asks every container that still runs to end: SIGTERM, and SIGKILL
	// after its StopTimeout. It returns at once; exits are told by report. It
	// may be called again, also after everything ended.
	Stop()
	// Address is where the given container port is really served (host:port of
	// this machine), or "" if nothing listens anywhere (modelled tasks).
	Address(containerPort int32) string
	// Probe is what a modelled task would answer now on the given container
	// port. It is asked only where Address is "".
	Probe(containerPort int32) Answer
}

// Answer is what a target says to one HTTP health check.
type Answer struct {
	Status  int  // HTTP status; 0 if the connection was refused
	Timeout bool // accepted, never answered
}

// Launch is what a Runner needs to know of one task.
type Launch struct {
	TaskARN, TaskID  string
	Cluster, Service string // names; Service is "" for RunTask
	Family           string
	Revision         int32
	StartedBy, Group string
	IP               string // the task's private address as the API shows it
	Containers       []ContainerSpec
}

// ContainerSpec is one container with everything resolved.
type ContainerSpec struct {
	Name             string
	Image            string    // as the task definition has it
	Digest           string    // sha256:…
	Spec             ImageSpec // what Images said about it
	Essential        bool
	EntryPoint       []string          // empty: the image's
	Command          []string          // empty: the image's
	Env              map[string]string // environment, then overrides, then secrets' values
	Ports            []int32           // container ports
	WorkingDirectory string            // "": the image's
	StopTimeout      time.Duration
	HealthCheck      *HealthCheck // nil: none; the Runner evaluates it

	// Log writes one line to the container's log stream; it is never nil and
	// discards where no log group is configured.
	Log func(at time.Time, line string)
}

// HealthCheck is a container's own check with ECS's defaults filled in.
type HealthCheck struct {
	Command                        []string
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int32
}

// Report is news of one container. Exit and Health are never both set.
type Report struct {
	Container string
	Exit      *Exit
	Health    types.HealthStatus
}

// Exit is how a container ended. A signal n is code 128+n.
type Exit struct {
	Code   int32
	Reason string // shown as the container's reason, e.g. "OutOfMemoryError: Container killed due to memory usage"
}

// Target is one task's port behind a target group. ID and Port identify it.
type Target struct {
	ID               string // private IP
	Port             int32  // container port
	AvailabilityZone string
	Address          string        // host:port to really connect to; "" for modelled tasks
	Probe            func() Answer // what it answers now; set where Address is ""
}

// TargetHealth is what DescribeTargetHealth says of a target.
type TargetHealth struct {
	State       string // initial, healthy, unhealthy, unused, draining, unavailable
	Reason      string // Target.ResponseCodeMismatch, …
	Description string // "Health checks failed with these codes: [503]"
}

// LoadBalancers is Elastic Load Balancing as ECS uses it.
type LoadBalancers interface {
	// Register adds a target. An error is shown in a service event.
	Register(targetGroupARN string, t Target) error
	// Deregister begins draining a target; an unknown one is no error.
	Deregister(targetGroupARN string, t Target)
	// DeregistrationDelay is the target group's
	// deregistration_delay.timeout_seconds; 0 for an unknown group.
	DeregistrationDelay(targetGroupARN string) time.Duration
	// Attached says whether a listener forwards to the group; an error says
	// that there is no such group.
	Attached(targetGroupARN string) (bool, error)
	// Notify sets the function to be called, without any lock held and in order
	// for each target, whenever a target's health changed. It is called once,
	// by New.
	Notify(changed func(targetGroupARN string, t Target, h TargetHealth))
}

// TrafficShifter is what LoadBalancers may also be. Without it the deployment
// strategies go through their stages and no traffic moves.
type TrafficShifter interface {
	// Shift makes a listener rule, or a listener's default, forward to these
	// target groups: ARN → percent of the requests, 0 to 100 with one decimal, the
	// sum is 100. An error fails the deployment (invalid networking
	// configuration).
	Shift(listenerRule string, weights map[string]float64) error
}

// VPC is the account's network as ECS uses it.
type VPC interface {
	// Subnet is the availability zone of a subnet; ok is false if there is no such
	// subnet.
	Subnet(id string) (zone string, ok bool)
	SecurityGroup(id string) bool // whether it exists
}

// Alarms is CloudWatch as ECS uses it.
type Alarms interface {
	// State is an alarm's state, OK, ALARM or INSUFFICIENT_DATA; ok is false if
	// there is no alarm of that name.
	State(name string) (state string, ok bool)
}

// ImageSpec is what a registry knows of how an image runs. The engine passes it
// from Images to Runner unread.
type ImageSpec any

// Images finds images.
type Images interface {
	// Resolve takes name:tag or name@digest. An error's text follows
	// "CannotPullContainerError: " in the task's stoppedReason.
	Resolve(image string) (digest string, spec ImageSpec, err error)
}

// Secrets finds the values of container secrets.
type Secrets interface {
	// Value takes a valueFrom: a secret's ARN (with :json-key:stage:version) or
	// a parameter's name or ARN. An error's text follows
	// "ResourceInitializationError: unable to pull secrets or registry auth: ".
	Value(valueFrom string) (string, error)
}

// Logs is CloudWatch Logs as the awslogs driver uses it.
type Logs interface {
	GroupExists(group string) bool
	// Put adds one line; the stream (prefix/container/task-id) is made if needed.
	Put(group, stream string, at time.Time, line string)
}

// Event is one state change, as EventBridge would be told of it. Task is set
// for "ECS Task State Change"; Name, Deployment and Reason for "ECS Deployment
// State Change" and "ECS Service Action"; Hook, Name, ServiceDeployment and Stage
// for "ECS Hook State Change". Detail has it as EventBridge sends it.
type Event struct {
	At         time.Time
	Cluster    string      // ARN
	Service    string      // ARN; "" for RunTask tasks
	Task       *types.Task // as DescribeTasks shows it without tags; nobody may change it
	Name       string      // SERVICE_DEPLOYMENT_FAILED, SERVICE_STEADY_STATE, …
	Deployment string      // ecs-svc/…
	Reason     string

	ServiceDeployment string // ARN
	Stage             types.ServiceDeploymentLifecycleStage
	Hook              *types.DeploymentLifecycleHookDetail
	Providers         []string // ARNs of the service's capacity providers
	Desired           int32    // desiredCount of the service at that moment
}
