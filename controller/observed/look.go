package observed

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Look says which facts one pass needs. The service itself, its stack and its tags are always looked at.
type Look struct {
	Stack      string            // name of the CloudFormation stack
	Containers map[string]string // container → image tag whose digest is not known yet
	Template   bool
	Revisions  []string   // revision ARNs whose tags are needed besides the PRIMARY's
	Startable  []string   // revision ARNs that must be startable
	Secrets    []string   // references whose present version is needed, never a value
	Parameter  bool       // the parameter that the stack's dynamic reference reads
	Alike      *Rendering // set: is what runs this, rendered onto the template?

	Deployment        string // the deployment that is followed
	ServiceDeployment bool   // and its longer record
	ServiceRecord     string // that record's ARN where it is known already
	Tasks             bool
	Targets           bool
	Alarms            []string
	Logs              *LogLook
	Migration         string    // ARN of the one-off task
	MigrationSince    time.Time // when it was asked for
	MigrationLog      bool
	Rolling           bool // a rollout is in flight: what would stop it must be recent
	Before            bool // the checks say whether something may begin: nothing of it was begun yet
	Thorough          bool // list every task, whatever hints there are
	Fresh             bool // answer from no cache but for the parameter: something is about to be decided on it
	// Since is when the pass began for which this is looked at: what was answered after it is fresh. Zero: nothing is.
	Since time.Time
}

// Rendering is what a service would be rolled to: containers on a template.
type Rendering struct {
	Template   string // its ARN
	Containers map[string]Rendered
}

// Rendered is what is put onto one container of the template.
type Rendered struct {
	Image   string // repository@digest
	Tag     string
	Digest  string
	Env     map[string]string
	Secrets map[string]string // references
}

// LogLook asks for log lines of the tasks of one deployment.
type LogLook struct {
	Revision string // log groups and streams are read off this revision
	Since    time.Time
	Patterns []string // regular expressions; a line counts for each that it matches
	Tail     int      // how many last lines are wanted
}

// Merge adds what other asks for. Where both name one thing, such as the deployment that is followed, l's stands.
func (l Look) Merge(other Look) Look {
	l.Stack = cmp.Or(l.Stack, other.Stack)
	l.Deployment = cmp.Or(l.Deployment, other.Deployment)
	l.ServiceRecord = cmp.Or(l.ServiceRecord, other.ServiceRecord)
	l.Migration = cmp.Or(l.Migration, other.Migration)
	l.MigrationSince = cmp.Or(l.MigrationSince, other.MigrationSince)
	l.Since = cmp.Or(l.Since, other.Since)
	if len(other.Containers) > 0 {
		containers := maps.Clone(other.Containers)
		maps.Copy(containers, l.Containers)
		l.Containers = containers
	}
	if l.Alike == nil {
		l.Alike = other.Alike
	}
	l.Template = l.Template || other.Template
	l.Parameter = l.Parameter || other.Parameter
	l.ServiceDeployment = l.ServiceDeployment || other.ServiceDeployment
	l.Tasks = l.Tasks || other.Tasks
	l.Targets = l.Targets || other.Targets
	l.MigrationLog = l.MigrationLog || other.MigrationLog
	l.Fresh = l.Fresh || other.Fresh
	l.Rolling = l.Rolling || other.Rolling
	l.Before = l.Before || other.Before
	l.Thorough = l.Thorough || other.Thorough
	l.Revisions = union(l.Revisions, other.Revisions)
	l.Startable = union(l.Startable, other.Startable)
	l.Secrets = union(l.Secrets, other.Secrets)
	l.Alarms = union(l.Alarms, other.Alarms)
	if other.Logs != nil {
		l.Logs = l.Logs.merge(other.Logs)
	}
	return l
}

func (l *LogLook) merge(other *LogLook) *LogLook {
	if l == nil {
		return other
	}
	out := *l
	out.Patterns = union(l.Patterns, other.Patterns)
	out.Tail = max(l.Tail, other.Tail)
	if other.Since.Before(out.Since) {
		out.Since = other.Since
	}
	return &out
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
