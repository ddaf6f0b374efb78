// Package permit has the policy that the infrastructure gives the controller, and gives it to controllers in tests: what those
// ask for and it does not allow fails them. It belongs to the tests and the demo; the product does not know it.
package permit

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/sim/iam"
)

// document is the policy of role order-processing-dev-controller. The infrastructure's tests write it, and fail where it is not
// what is synthesized: cd infra && go test . -run TestControllerPolicy -update
//
//go:embed policy.json
var document []byte

// Policy is the controller's, for the service order-processing of the environment dev.
func Policy() (iam.Policy, error) { return iam.ReadPolicy(document) }

// many is what is added by hand for a controller of ManyFrom services or more: infra/README.md shows it.
//
//go:embed many.json
var many []byte

// ManyFrom is from how many services on a controller lists all stacks instead of asking for each by its name.
const ManyFrom = 10

// Many is the policy that lets a controller of ManyFrom services or more list all stacks together. Without it, it asks for them one
// by one. That is authorized on every stack of the account or not at all.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
func Many() (iam.Policy, error) { return iam.ReadPolicy(many) }

// look is what docs/adopt.md shows.
//
//go:embed look.json
var look []byte

// Look is the policy of whoever plans and adopts from a desk: it changes nothing and reads no secret's value.
func Look() (iam.Policy, error) { return iam.ReadPolicy(look) }

// Names are those of a test's infrastructure, where they are not the real one's.
type Names struct {
	Stack, Cluster, Service string // the repository has the service's name
	LogGroup                string
	Secrets                 string // what their names begin with, and a slash
	Parameters              string // the same
	Execution, Task         string // roles
	Migration               string // the role of migrations
	Table                   string
	Queue                   string // of events
}

// For is the policy for an infrastructure of other names: each of its resources under the name that it has there, and nothing
// else changed. A resource that Names does not know is an error, so that none is let through.
func For(n Names) (iam.Policy, error) {
	p, err := Policy()
	if err != nil {
		return p, err
	}
	const env, service = "order-processing-dev", "order-processing"
	renamed := map[string]string{
		":stack/" + env + "/*":                              ":stack/" + n.Stack + "/*",
		":cluster/" + env:                                   ":cluster/" + n.Cluster,
		":task/" + env + "/*":                               ":task/" + n.Cluster + "/*",
		":service/" + env + "/" + service:                   ":service/" + n.Cluster + "/" + n.Service,
		":service-deployment/" + env + "/" + service + "/*": ":service-deployment/" + n.Cluster + "/" + n.Service + "/*",
		":task-definition/" + service + ":*":                ":task-definition/" + n.Service + ":*",
		":repository/" + service:                            ":repository/" + n.Service,
		":log-group:/ecs/" + env + ":*":                     ":log-group:" + n.LogGroup + ":*",
		":secret:" + env + "/*":                             ":secret:" + n.Secrets + "/*",
		":parameter/" + env + "/*":                          ":parameter/" + n.Parameters + "/*",
		":parameter/" + env + "/task-definition":            ":parameter/" + n.Parameters + "/task-definition",
		":role/" + env + "-execution":                       ":role/" + n.Execution,
		":role/" + env + "-task":                            ":role/" + n.Task,
		":role/" + env + "-migration":                       ":role/" + n.Migration,
		":table/" + env + "-ledger":                         ":table/" + n.Table,
		":" + env + "-events":                               ":" + n.Queue,
	}
	rename := func(arns []string) ([]string, error) {
		out := slices.Clone(arns)
		for i, arn := range out {
			if !strings.HasPrefix(arn, "arn:") {
				continue // "*", and values of conditions that are no ARNs
			}
			parts := strings.SplitN(arn, ":", 6)
			to, known := renamed[":"+parts[len(parts)-1]]
			if !known {
				return nil, fmt.Errorf("nobody knows what %s is called in the tests' infrastructure", arn)
			}
			out[i] = strings.Join(parts[:len(parts)-1], ":") + to
		}
		return out, nil
	}
	for i := range p.Statements {
		s := &p.Statements[i]
		if s.Resources, err = rename(s.Resources); err != nil {
			return iam.Policy{}, fmt.Errorf("statement %s: %w", s.Sid, err)
		}
		for j := range s.Conditions {
			if s.Conditions[j].Values, err = rename(s.Conditions[j].Values); err != nil {
				return iam.Policy{}, fmt.Errorf("statement %s: %w", s.Sid, err)
			}
		}
	}
	return p, nil
}
