package ecs

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"golang.org/x/time/rate"
)

type serviceStatus string

const (
	serviceActive   serviceStatus = "ACTIVE"
	serviceDraining serviceStatus = "DRAINING"
	serviceInactive serviceStatus = "INACTIVE"
)

// service is one service. What its revision carries (task definition, network,
// load balancers, platform) is in its deployments; the primary's is the
// service's.
type service struct {
	throttled bool // see Trouble.Throttled; told already
	name, arn string
	cluster   *cluster
	status    serviceStatus
	createdAt time.Time
	token     string // CreateService's client token and what it asked for
	asked     any

	foreign  types.DeploymentControllerType // CODE_DEPLOY or EXTERNAL; "": ECS deploys
	launches *rate.Limiter                  // see launchBucket

	desired        int
	config         types.DeploymentConfiguration // complete: every default filled in
	launchType     types.LaunchType
	strategy       []types.CapacityProviderStrategyItem
	grace          time.Duration
	graceSeconds   *int32
	balancing      types.AvailabilityZoneRebalancing
	propagate      types.PropagateTags
	managedTags    bool
	executeCommand bool
	tags           tags

	deployments []*deployment // the primary first, then newest first
	candidate   *deployment   // what a rollback goes to: the newest that is COMPLETED
	records     []*record     // service deployments, oldest first
	revisions   []*deployment // every deployment's revision, oldest first
	tasks       []*task       // not STOPPED, oldest first
	gone        []*task       // STOPPED, still visible

	events     []types.ServiceEvent // newest first; a list is never changed, for answers share it
	eventRoom  eventRoom
	steadyAt   time.Time // zero while something is going on
	held       int       // protected tasks that hold up scale-in, as last told
	unbalanced bool      // told so of the availability zones
	replaced   int       // stopped for their health, not yet told as replaced
	phase      time.Time // the scheduler looks at phase + n·period
	period     time.Duration
	tickDue    bool
	stale      *types.Service // what a stale read shows, until staleUntil
	staleUntil time.Time
}

// deployment is one revision of a service and its rollout. Its number is shared
// by the deployment's id and the service revision's ARN.
type deployment struct {
	number string
	svc    *service
	spec   revisionSpec

	createdAt, updatedAt, revisedAt time.Time
	state                           types.DeploymentRolloutState
	reason                          string
	failed                          bool // it never gets another task
	shownFailedAt                   time.Time
	keep                            int // as a source: how many tasks it still should have
	record                          *record

	digests    map[string]string    // container → sha256:…, resolved by its first task
	failures   int                  // what the breaker counts
	failedSeen int                  // failedTasks
	ranOne     bool                 // stage 2: a task of it has been RUNNING
	wave       int                  // launches so far
	badWave    int                  // the last wave that was counted as failed
	badWaves   int                  // failed waves in a row
	notBefore  time.Time            // start throttle
	stalled    bool                 // Doubts.BreakerStallOnBadImage
	balancers  []types.LoadBalancer // spec.lbs with the target groups that this deployment uses
	bakeFrom   time.Time            // its tasks are in place since
	production float64              // percent of the production traffic, where a strategy shifts it
	test       float64
	toldStuck  bool
	doneAt     time.Time // when its record became SUCCESSFUL
}

// revisionSpec is what a new deployment is needed for (UpdateService's member
// documentation).
type revisionSpec struct {
	td       *taskDefinition
	network  types.NetworkConfiguration
	lbs      []types.LoadBalancer
	platform string
}

func (d *deployment) id() string { return "ecs-svc/" + d.number }

func (s *service) primary() *deployment { return s.deployments[0] }

func (e *Engine) revisionARN(d *deployment) string {
	return e.arn("service-revision", d.svc.cluster.name, d.svc.name, d.number)
}

// minMax is how many tasks must stay healthy and how many may exist (ECS API
// reference, DeploymentConfiguration).
func (s *service) minMax() (low, high int) {
	low = (s.desired*int(aws.ToInt32(s.config.MinimumHealthyPercent)) + 99) / 100
	return low, s.desired * int(aws.ToInt32(s.config.MaximumPercent)) / 100
}

func (s *service) of(d *deployment) []*task {
	return slices.DeleteFunc(slices.Clone(s.tasks), func(t *task) bool { return t.dep != d })
}

func (s *service) live(d *deployment) []*task {
	return slices.DeleteFunc(s.of(d), func(t *task) bool { return !t.live() })
}

// occupied is what counts towards maximumPercent.
func (e *Engine) occupied(s *service) int {
	n := 0
	for _, t := range s.tasks {
		if e.occupies(t) {
			n++
		}
	}
	return n
}

func (e *Engine) occupies(t *task) bool {
	return t.live() || !e.cfg.Doubts.StoppingOutsideMax && (t.status == deactivating || t.status == stopping)
}

func (e *Engine) healthyOf(ts []*task) int {
	n := 0
	for _, t := range ts {
		if e.healthy(t) {
			n++
		}
	}
	return n
}

func (s *service) retireTask(t *task) {
	s.tasks = slices.DeleteFunc(s.tasks, func(o *task) bool { return o == t })
	s.gone = append(s.gone, t)
}

func (s *service) forgetTask(t *task) {
	s.gone = slices.DeleteFunc(s.gone, func(o *task) bool { return o == t })
}

// touch makes the scheduler look at the service at its next tick. Nothing is
// due for a service that nobody touches.
func (e *Engine) touch(s *service) {
	if s.tickDue || s.status == serviceInactive {
		return
	}
	s.tickDue = true
	wait := s.period - e.now.Sub(s.phase)%s.period
	e.after(wait, func() {
		s.tickDue = false
		e.tick(s)
	})
}

// deploy makes a new primary deployment.
func (e *Engine) deploy(s *service, spec revisionSpec) *deployment {
	d := &deployment{
		number: revisionNumber(e.random("deployment " + s.arn)), svc: s, spec: spec,
		createdAt: e.now, updatedAt: e.now, revisedAt: e.now, digests: map[string]string{},
	}
	d.progress("ECS deployment " + d.id() + " in progress.")
	sources := slices.Clone(s.deployments)
	r := e.newRecord(d, sources)
	live := (*deployment)(nil)
	if r.life != nil {
		live = r.life.blue
	} else if len(sources) > 0 {
		live = sources[0]
	}
	d.resolveGroups(live, r.life != nil)
	for _, old := range s.deployments {
		old.keep = len(s.live(old))
		old.updatedAt = e.now
		if old.state == types.DeploymentRolloutStateInProgress {
			e.supersede(old)
		}
	}
	s.deployments = append([]*deployment{d}, s.deployments...)
	s.revisions = append(s.revisions, d)
	e.watchAlarms(s, r)
	s.steadyAt = time.Time{}
	e.tell(s, "SERVICE_DEPLOYMENT_IN_PROGRESS", d, d.reason)
	e.forgetHistory(s)
	e.touch(s)
	return d
}

func (d *deployment) progress(reason string) {
	d.state, d.reason = types.DeploymentRolloutStateInProgress, reason
}

// supersede ends a rollout because a newer one began. Whether ECS then shows it
// as FAILED is not documented.
func (e *Engine) supersede(d *deployment) {
	if e.cfg.Doubts.SupersededFailed {
		d.state = types.DeploymentRolloutStateFailed
	}
	for _, r := range d.svc.records {
		if r.rollbackTo == d && r.open() {
			e.setRecord(r, types.ServiceDeploymentStatusRollbackFailed, "")
			r.life.end()
		}
	}
	if d.record != nil && d.record.open() {
		e.setRecord(d.record, types.ServiceDeploymentStatusStopRequested, "")
		d.record.life.end()
	}
}

// startedOne: a task has been RUNNING, so the deployment is past the stage in
// which failed starts count.
func (d *deployment) startedOne() {
	d.badWaves, d.notBefore = 0, time.Time{}
	if !d.ranOne {
		d.ranOne, d.failures, d.failedSeen = true, 0, 0
	}
}
