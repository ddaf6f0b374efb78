package status

import (
	"reflect"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// Kept is a look as it is kept for whoever decides on it again. Most services are settled, and of their looks little is set: without
// what is not, and with lists in place of maps of one or two, ten thousand take half as much.
type Kept struct {
	at                        time.Time
	stack                     stack
	status                    observed.Status
	arn, name, definition     string
	desired, running, pending int32
	changing                  bool // CloudFormation changes the stack
	deployments               []observed.Deployment
	tags                      []tag // nil for no map, as revisions
	template                  *observed.Template
	revisions                 []revision
	rest                      *observed.Service // everything else, nil where that is nothing
	groups                    *groups           // nil where there is neither
}

// groups are what only some services have: a load balancer, secrets.
type groups struct {
	targets []observed.TargetGroup
	secrets map[string]string
}

// stack is an observed.Stack but for whether it changes.
type stack struct {
	name, status string
	updatedAt    time.Time
	outputs      map[string]string
}

type tag struct{ key, value string }

type revision struct {
	arn string
	is  observed.Revision
}

// Keep is the part of a look that is kept for whoever decides on it again: without what only explains, and, where nothing is in
// flight, without the tasks and targets that only a rollout is judged by. A look that did not ask for the template, or for the
// versions of secrets, keeps those before.
func Keep(seen observed.Service, before Kept, inFlight bool) Kept {
	seen.Events, seen.Logs, seen.MigrationLog = nil, nil, nil
	if !inFlight {
		seen.Tasks, seen.Targets = nil, nil
	}
	if _, lacks := seen.Lacks(observed.FactTemplate); seen.Template == nil && !lacks {
		seen.Template = before.template
	}
	if _, lacks := seen.Lacks(observed.FactSecrets); seen.Secrets == nil && !lacks && before.groups != nil {
		seen.Secrets = before.groups.secrets
	}
	return keep(seen)
}

func keep(s observed.Service) Kept {
	k := Kept{
		at: s.At, stack: stack{s.Stack.Name, s.Stack.Status, s.Stack.UpdatedAt, s.Stack.Outputs}, changing: s.Stack.InProgress, status: s.Status, arn: s.ARN, name: s.Name, definition: s.TaskDefinition, desired: int32(s.Desired), running: int32(s.Running),
		pending: int32(s.Pending), deployments: s.Deployments, template: s.Template,
	}
	if s.TargetGroups != nil || s.Secrets != nil {
		k.groups = &groups{s.TargetGroups, s.Secrets}
	}
	if s.Tags != nil {
		k.tags = make([]tag, 0, len(s.Tags))
		for key, value := range s.Tags {
			k.tags = append(k.tags, tag{key, value})
		}
	}
	if s.Revisions != nil {
		k.revisions = make([]revision, 0, len(s.Revisions))
		for arn, is := range s.Revisions {
			k.revisions = append(k.revisions, revision{arn, is})
		}
	}
	rest := observed.Service{
		DeployedBy: s.DeployedBy, Events: s.Events, Images: s.Images, Startable: s.Startable, Alike: s.Alike, Parameter: s.Parameter, ServiceDeployment: s.ServiceDeployment,
		Tasks: s.Tasks, Targets: s.Targets, Alarms: s.Alarms, Logs: s.Logs, Migration: s.Migration, MigrationLog: s.MigrationLog, Missing: s.Missing,
	}
	if !reflect.ValueOf(rest).IsZero() {
		k.rest = &rest
	}
	return k
}

// Service is the look again. What it points at is shared and must not be changed.
func (k Kept) Service() observed.Service {
	var s observed.Service
	if k.rest != nil {
		s = *k.rest
	}
	s.Stack = observed.Stack{Name: k.stack.name, Status: k.stack.status, InProgress: k.changing, UpdatedAt: k.stack.updatedAt, Outputs: k.stack.outputs}
	s.At, s.Status, s.ARN, s.Name, s.TaskDefinition = k.at, k.status, k.arn, k.name, k.definition
	s.Desired, s.Running, s.Pending, s.Deployments = int(k.desired), int(k.running), int(k.pending), k.deployments
	s.Template = k.template
	if k.groups != nil {
		s.TargetGroups, s.Secrets = k.groups.targets, k.groups.secrets
	}
	if k.tags != nil {
		s.Tags = make(map[string]string, len(k.tags))
		for _, t := range k.tags {
			s.Tags[t.key] = t.value
		}
	}
	if k.revisions != nil {
		s.Revisions = make(map[string]observed.Revision, len(k.revisions))
		for _, r := range k.revisions {
			s.Revisions[r.arn] = r.is
		}
	}
	return s
}

// observed is what is told of the look, as far as it was kept.
func (k Kept) observed() Observed {
	bare := k
	bare.tags, bare.revisions = nil, nil // which make maps, and are not told
	return Observe(bare.Service())
}
