// Package observed is what the account showed: plain values, without pointers into any SDK. A member that was not asked
// for is zero; a member that was asked for and could not be had is named in Missing. Nothing here decides anything.
package observed

import "time"

// Service is one look at one service and what belongs to it.
type Service struct {
	At time.Time // when the look began, by the controller's clock

	Stack  Stack
	Status Status // of the ECS service
	ARN    string
	Name   string

	DeployedBy     string // who makes its deployments where ECS does not: CODE_DEPLOY, EXTERNAL; or how, where ECS does not roll: BLUE_GREEN, LINEAR, CANARY, DAEMON
	TaskDefinition string // the revision that the service names
	Desired        int
	Running        int
	Pending        int
	Deployments    []Deployment // newest first, as ECS lists them
	Tags           map[string]string
	TargetGroups   []TargetGroup
	Events         []Event // newest first, bounded

	Template  *Template            // nil when it was not asked for or is missing
	Images    map[string]Image     // by container: what each asked tag is in the registry now
	Revisions map[string]Revision  // by ARN: what is known of the revisions that matter
	Startable map[string]Startable // by revision ARN: could it be started now
	Secrets   map[string]string    // by reference: which version is current
	Alike     *bool                // whether what runs is what the look would render; nil when it was not asked for
	Parameter *string              // value of the stack's task-definition parameter, nil when unread or absent

	ServiceDeployment *ServiceDeployment // the record of the deployment that is followed
	Tasks             []Task             // of the service: running ones and stopped ones still visible
	Targets           []Target
	Alarms            []Alarm
	Logs              *Logs
	Migration         *Task    // the one-off task that was asked for
	MigrationLog      []string // its last lines, once it has stopped or where they were asked for

	Missing []Missing
}

// Status is what became of the service.
type Status string

// The statuses. StatusUnknown means that the service could not be looked at in this pass.
const (
	StatusUnknown  Status = ""
	StatusActive   Status = "ACTIVE"
	StatusDraining Status = "DRAINING"
	StatusInactive Status = "INACTIVE"
	StatusMissing  Status = "MISSING"
)

// Stack is the infrastructure's word on where the service lives.
type Stack struct {
	Name       string
	Status     string    // CloudFormation's status, such as UPDATE_COMPLETE
	InProgress bool      // CloudFormation is changing it now: nothing may be written
	UpdatedAt  time.Time // when its newest update began; zero where there was none
	Outputs    map[string]string
}

// Deployment is one entry of the service's deployment list.
type Deployment struct {
	ID             string // ecs-svc/<number>; a rollback by ECS re-uses the old one
	Primary        bool
	TaskDefinition string
	Rollout        RolloutState
	Reason         string
	Desired        int
	Running        int
	Pending        int
	Failed         int
	CreatedAt      time.Time // by the account's clock
	UpdatedAt      time.Time
}

// RolloutState is ECS's word on a deployment.
type RolloutState string

// The rollout states; ECS may leave it out.
const (
	RolloutInProgress RolloutState = "IN_PROGRESS"
	RolloutCompleted  RolloutState = "COMPLETED"
	RolloutFailed     RolloutState = "FAILED"
)

// Primary returns the newest deployment, the zero one when there is none.
func (s Service) Primary() Deployment {
	for _, d := range s.Deployments {
		if d.Primary {
			return d
		}
	}
	return Deployment{}
}

// Deployment returns the entry with the id and whether there is one.
func (s Service) Deployment(id string) (Deployment, bool) {
	for _, d := range s.Deployments {
		if d.ID == id {
			return d, true
		}
	}
	return Deployment{}, false
}

// ServiceDeployment is the newer record that ECS keeps of a deployment for 90 days.
type ServiceDeployment struct {
	ARN        string
	Deployment string // the deployment id that it belongs to
	Status     string // PENDING, IN_PROGRESS, SUCCESSFUL, STOPPED, ROLLBACK_…
	Reason     string
	FinishedAt time.Time
	Failures   int
}

// The statuses of a service deployment that the reasoning knows; the set is open.
const (
	ServiceDeploymentSuccessful         = "SUCCESSFUL"
	ServiceDeploymentStopped            = "STOPPED"
	ServiceDeploymentRollbackRequested  = "ROLLBACK_REQUESTED"
	ServiceDeploymentRollbackInProgress = "ROLLBACK_IN_PROGRESS"
	ServiceDeploymentRollbackSuccessful = "ROLLBACK_SUCCESSFUL"
	ServiceDeploymentRollbackFailed     = "ROLLBACK_FAILED"
)

// TargetGroup is one load balancer attachment of the service.
type TargetGroup struct {
	ARN       string
	Container string
	Port      int
}

// Event is one line of the service's event log: explanation only, never a verdict.
type Event struct {
	ID      string
	At      time.Time
	Message string
}

// Template is the task definition that the infrastructure owns and that images, env and secrets are rendered onto.
type Template struct {
	ARN        string
	Content    string // canonical JSON of everything that enters the rendered revision
	Containers []string
	LogGroups  []string
}

// Image is what a tag is in the registry.
type Image struct {
	Tag    string
	Digest string // empty when the tag does not exist
	URI    string // repository@digest, as it is registered
}

// Revision is what is known of a task-definition revision.
type Revision struct {
	ARN         string
	Active      bool
	Ask         string // from its tags; empty when the controller did not make it
	Fingerprint string
	Commit      string

	HealthChecked bool // a container of it has a health check of its own
}

// Startable says whether a revision could be started now, as far as its images tell.
type Startable struct {
	OK     bool
	Reason string
	Lacks  Lack // empty where it is OK
	// Tagged are the digests that the images which the revision names by a tag have now, by container.
	Tagged map[string]string
}

// Lack is what keeps a revision from being started.
type Lack string

// What a revision can lack.
const (
	LackImage  Lack = "image"
	LackSecret Lack = "secret" // under the ARN that the revision names; one that was made anew has another
	// LackRevision: it was deregistered, and nothing else is known to be missing. What runs goes on with it, and whoever knows
	// its content can register it again.
	LackRevision Lack = "revision"
)

// Task is one task as far as the reasoning is concerned.
type Task struct {
	ARN            string
	Deployment     string // startedBy: the deployment that started it
	TaskDefinition string
	LastStatus     string
	DesiredStatus  string
	Health         string
	StopCode       string
	StoppedReason  string
	CreatedAt      time.Time
	StartedAt      time.Time
	StoppingAt     time.Time
	StoppedAt      time.Time
	Address        string // its private IPv4 address, by which load balancers know it; empty while it has none
	Containers     []Container
}

// ID is the last part of the task's ARN.
func (t Task) ID() string { return lastPart(t.ARN) }

// Stopped reports whether the task has ended.
func (t Task) Stopped() bool { return t.LastStatus == "STOPPED" }

// Container returns the named container and whether there is one; sidecars are injected, so never by position.
func (t Task) Container(name string) (Container, bool) {
	for _, c := range t.Containers {
		if c.Name == name {
			return c, true
		}
	}
	return Container{}, false
}

// Container is one container of a task.
type Container struct {
	Name     string
	Exited   bool // an exit code is known
	ExitCode int
	Reason   string
	Digest   string
}

// Target is one target of one target group.
type Target struct {
	Group       string
	ID          string
	Port        int
	State       string
	Reason      string
	Description string
}

// Alarm is the state of one alarm; a name that does not exist is StateMissing.
type Alarm struct {
	Name   string
	State  AlarmState
	Reason string
	Since  time.Time // by the account's clock
}

// AlarmState is CloudWatch's word, and MISSING for a name that it does not know.
type AlarmState string

// The alarm states.
const (
	AlarmOK           AlarmState = "OK"
	AlarmRed          AlarmState = "ALARM"
	AlarmInsufficient AlarmState = "INSUFFICIENT_DATA"
	AlarmMissing      AlarmState = "MISSING"
)

// Logs are the lines that answered a log look.
type Logs struct {
	Matches map[string][]LogLine // by pattern
	Tail    []LogLine            // the last lines, newest last, only where asked for
	Seen    bool                 // at least one line of the deployment's own tasks has arrived
	// Behind is how far from the end of the log what was read to its end stops, zero where it does not: more is written in that time
	// than one look reads.
	Behind time.Duration
}

// LogLine is one line of one task.
type LogLine struct {
	At      time.Time
	Task    string
	Message string
}

// Missing is a fact that was asked for and could not be had.
type Missing struct {
	Fact    Fact
	Kind    string // the fault's kind
	Reason  string // the fault's closed word
	Message string
}

// Class says whose trouble it is that the fact could not be had: that of whoever must provide a permission or a thing first,
// else the infrastructure's.
func (m Missing) Class() Class {
	if m.Kind == "blocked" || m.Kind == "not_found" {
		return ClassBlocked
	}
	return ClassInfrastructure
}

// Fact names a part of the observation.
type Fact string

// The facts.
const (
	FactStack             Fact = "stack"
	FactService           Fact = "service"
	FactTemplate          Fact = "template"
	FactImages            Fact = "images"
	FactRevisions         Fact = "revisions"
	FactStartable         Fact = "startable"
	FactParameter         Fact = "parameter"
	FactSecrets           Fact = "secrets"
	FactServiceDeployment Fact = "service deployment"
	FactTasks             Fact = "tasks"
	FactTargets           Fact = "targets"
	FactAlarms            Fact = "alarms"
	FactLogs              Fact = "logs"
	FactMigration         Fact = "migration"
	FactMigrationLog      Fact = "migration log"
	FactAlike             Fact = "alike"
)

// Lacks returns the entry that says why the fact could not be had, and whether there is one.
func (s Service) Lacks(f Fact) (Missing, bool) {
	for _, m := range s.Missing {
		if m.Fact == f {
			return m, true
		}
	}
	return Missing{}, false
}

func lastPart(arn string) string {
	for i := len(arn) - 1; i >= 0; i-- {
		if arn[i] == '/' {
			return arn[i+1:]
		}
	}
	return arn
}

// EndedTask is a task that has ended, as an event told it.
type EndedTask struct {
	Task     Task
	Commands []string // the containers whose command was overridden
}

// Message is one message of the queue of events.
type Message struct {
	Body    string
	Receipt string    // by which it is deleted
	SentAt  time.Time // by the account's clock
}
