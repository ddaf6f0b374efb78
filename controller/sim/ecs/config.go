package ecs

import "time"

// Config says what one Engine is and who its neighbours are. Account and Region
// are required; a neighbour that is nil answers as if it did not exist: no
// Runner runs nothing (tasks fail to start), no LoadBalancers knows no target
// group, no Images finds no image, no Secrets no secret, no Logs no log group.
// VPC and Alarms say for themselves what their absence means.
type Config struct {
	Account string // 12 digits
	Region  string
	Seed    uint64 // one seed, one sequence of ids and latencies
	Timing  Timing // zero: DefaultTiming()
	Doubts  Doubts // zero: the plain reading of AWS's documents
	Quotas  Quotas // what is zero: AWS's default

	Runner        Runner
	LoadBalancers LoadBalancers
	Images        Images
	Secrets       Secrets
	Logs          Logs
	VPC           VPC    // nil: every subnet and security group exists
	Alarms        Alarms // nil: deployment alarms are stored and not watched

	// NoServiceLinkedRole makes an account that never had AWSServiceRoleForECS: its first cluster or service makes it, and
	// services are refused until it can be assumed.
	NoServiceLinkedRole bool

	// Hook, if set, answers for every Lambda function that is a lifecycle hook; a
	// hook without it fails. It is called as neighbours are.
	Hook func(HookCall) HookAnswer

	// Observe, if set, is told every state change in the order in which they
	// happened, from one goroutine at a time and without the engine's lock.
	Observe func(Event)
}

// Range is a duration that varies: one value between Min and Max (inclusive)
// is drawn for each use.
type Range struct{ Min, Max time.Duration }

// Timing holds every duration of the modelled scheduler and of Fargate.
type Timing struct {
	Tick                Range         // between two looks of the scheduler at a service with something to do; one value per service
	Provision           Range         // PROVISIONING: the network interface
	Pull                Range         // PENDING: secrets and images
	PullFailure         Range         // PENDING, when an image cannot be pulled: ECS tries several times
	Activate            Range         // ACTIVATING: containers run, targets are registered
	Deprovision         Range         // DEPROVISIONING: the network interface goes
	HealthyAfterRunning time.Duration // task without any health check: healthy this long after RUNNING
	StoppedRetention    time.Duration // a STOPPED task stays visible this long
	InactiveRetention   time.Duration // an INACTIVE service stays describable this long
	StartThrottle       time.Duration // first back-off of the start throttle; doubles
	StartThrottleMax    time.Duration
	SteadyEvery         time.Duration // "has reached a steady state." is repeated
	HistoryRetention    time.Duration // service deployments and revisions
	TokenWindow         time.Duration // RunTask client tokens, at most
	TokenAfterStop      time.Duration // RunTask client tokens, after the last task stopped
	AlarmBake           time.Duration // alarms are watched this long after the tasks are in place, where no bake time is given
	DeferredCleanUp     time.Duration // early success with DEFERRED: sources stay this long after it
	RoleReady           time.Duration // a service-linked role can be assumed this long after it was made
	HookCallBack        time.Duration // a hook that answered IN_PROGRESS without callBackDelay is called again
}

// DefaultTiming is what AWS's documents and logs of real runs show.
func DefaultTiming() Timing {
	return Timing{
		Tick:                Range{10 * time.Second, 10 * time.Second},
		Provision:           Range{8 * time.Second, 15 * time.Second},
		Pull:                Range{5 * time.Second, 20 * time.Second},
		PullFailure:         Range{60 * time.Second, 120 * time.Second},
		Activate:            Range{5 * time.Second, 10 * time.Second},
		Deprovision:         Range{15 * time.Second, 45 * time.Second},
		HealthyAfterRunning: 40 * time.Second,
		StoppedRetention:    time.Hour,
		InactiveRetention:   time.Hour,
		StartThrottle:       time.Minute,
		StartThrottleMax:    27 * time.Minute,
		SteadyEvery:         6 * time.Hour,
		HistoryRetention:    90 * 24 * time.Hour,
		TokenWindow:         24 * time.Hour,
		TokenAfterStop:      time.Hour,
		AlarmBake:           3 * time.Minute,
		DeferredCleanUp:     5 * time.Minute,
		RoleReady:           10 * time.Second,
		HookCallBack:        30 * time.Second,
	}
}

// FastTiming is for people who watch: waiting is ten times shorter or more. It
// is not a changed clock; what is kept for hours or days is kept as long.
func FastTiming() Timing {
	t := DefaultTiming()
	t.Tick = Range{500 * time.Millisecond, 500 * time.Millisecond}
	t.Provision = Range{200 * time.Millisecond, 400 * time.Millisecond}
	t.Pull = Range{200 * time.Millisecond, 500 * time.Millisecond}
	t.PullFailure = Range{500 * time.Millisecond, time.Second}
	t.Activate = Range{200 * time.Millisecond, 400 * time.Millisecond}
	t.Deprovision = Range{200 * time.Millisecond, 500 * time.Millisecond}
	t.HealthyAfterRunning = 2 * time.Second
	t.StartThrottle = 2 * time.Second
	t.StartThrottleMax = 30 * time.Second
	t.AlarmBake = 5 * time.Second
	t.DeferredCleanUp = 10 * time.Second
	t.HookCallBack = 3 * time.Second
	t.RoleReady = time.Second
	return t
}

// Doubts are the points on which AWS's documents are silent or contradict each
// other or what was seen in the field. A client must be right whatever they say.
type Doubts struct {
	// StoppingOutsideMax: tasks DEACTIVATING or STOPPING do not count towards
	// maximumPercent (API reference) instead of counting (developer guide).
	StoppingOutsideMax bool
	// NewCreatedAtOnRollback gives the re-promoted deployment a new createdAt.
	NewCreatedAtOnRollback bool
	// SupersededFailed shows a superseded deployment as FAILED instead of
	// leaving it IN_PROGRESS.
	SupersededFailed bool
	// FailedShownAfter is how long a rolled-back deployment goes on being shown
	// as IN_PROGRESS (106 s were seen).
	FailedShownAfter time.Duration
	// SDSuccessBeforeClassic is how long before the deployment's COMPLETED the
	// service deployment is SUCCESSFUL (38 s were seen).
	SDSuccessBeforeClassic time.Duration
	// BreakerStallOnBadImage is the probability, 0 to 1, that a deployment whose
	// image cannot be pulled is not tried again after its second failure, so that
	// the breaker never fires.
	BreakerStallOnBadImage float64
	// EarlyExitsIgnored: a container that ends on its own within
	// EarlyExit of RUNNING does not count as a failed start.
	EarlyExitsIgnored bool
	// EarlyExit; zero means 10 s.
	EarlyExit time.Duration
	// StaleReadMax: after UpdateService, DescribeServices shows the state before
	// it for a while, at most this long.
	StaleReadMax time.Duration
	// SDRecordLagMax: a service deployment is listed at most this late.
	SDRecordLagMax time.Duration
	// TaskRecordLagMax: a task that RunTask started is described and listed at
	// most this late.
	TaskRecordLagMax time.Duration
	// CurrentServiceDeploymentKept: Service.currentServiceDeployment stays set
	// after the service deployment ended.
	CurrentServiceDeploymentKept bool
	// PlacementUncounted: the breaker does not count tasks for which there is no
	// capacity.
	PlacementUncounted bool
	// FirstDeploymentBakes: a service's first deployment with BLUE_GREEN, LINEAR or
	// CANARY goes through BAKE_TIME although nothing runs beside it.
	FirstDeploymentBakes bool
	// LiveTargetGroupShown: DescribeServices shows the target group that carries
	// traffic as targetGroupArn and the other as the alternate one, instead of both
	// as they were given.
	LiveTargetGroupShown bool
	// StartedByStoppedRefused: ListTasks refuses startedBy together with
	// desiredStatus STOPPED.
	StartedByStoppedRefused bool
	// DrainingDeploymentsShown: a deployment that gives way to the primary has the
	// status DRAINING instead of ACTIVE (one log has it; no page does).
	DrainingDeploymentsShown bool
	// OneTaskWording: EventBridge is told of a tripped breaker as "task failed to
	// start." (developer guide's example) instead of "tasks failed to start.".
	OneTaskWording bool
	// MaintenanceIsTermination: a task that is stopped for maintenance has the
	// stopCode TerminationNotice instead of ServiceSchedulerInitiated.
	MaintenanceIsTermination bool
	// InactiveUsableFor: a deregistered revision may still be used for new
	// tasks and deployments for this long (up to 10 min by the documents).
	InactiveUsableFor time.Duration
	// UnboundedPercentFloored: the breaker's threshold of type UNBOUNDED_PERCENT is rounded down, so that a service of few
	// tasks may have none and its breaker never fires, instead of up.
	UnboundedPercentFloored bool
}
