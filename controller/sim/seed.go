package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/sim/process"
	"github.com/canteen/deploy/controller/sim/script"
)

// Seed is what an account holds at first. README.md tells every field.
type Seed struct {
	Clusters []string `json:"clusters,omitempty"`
	VPC      *SeedVPC `json:"vpc,omitempty"`
	// ServiceLinkedRole false takes AWSServiceRoleForECS away; left out, it is as sim.Config says.
	ServiceLinkedRole *bool            `json:"serviceLinkedRole,omitempty"`
	Stacks            []SeedStack      `json:"stacks,omitempty"`
	Repositories      []SeedRepository `json:"repositories,omitempty"`
	LogGroups         []string         `json:"logGroups,omitempty"`
	LogDelay          Duration         `json:"logDelay,omitempty"`
	Secrets           []SeedSecret     `json:"secrets,omitempty"`
	Parameters        []SeedParameter  `json:"parameters,omitempty"`
	TargetGroups      []SeedGroup      `json:"targetGroups,omitempty"`
	LoadBalancers     []SeedBalancer   `json:"loadBalancers,omitempty"`
	Alarms            []SeedAlarm      `json:"alarms,omitempty"`
	Tables            []SeedTable      `json:"tables,omitempty"`
	Hooks             []SeedHook       `json:"hooks,omitempty"`
	TaskDefinitions   []map[string]any `json:"taskDefinitions,omitempty"` // as RegisterTaskDefinition takes them
	Services          []map[string]any `json:"services,omitempty"`        // as CreateService takes them
	Faults            []NamedFault     `json:"faults,omitempty"`
}

// SeedStack is a CloudFormation stack.
type SeedStack struct {
	Name    string            `json:"name"`
	Status  string            `json:"status,omitempty"`
	Outputs map[string]string `json:"outputs,omitempty"`
}

// SeedRepository is a repository with its images.
type SeedRepository struct {
	Name      string      `json:"name"`
	Immutable bool        `json:"immutable,omitempty"`
	Images    []SeedImage `json:"images,omitempty"`
}

// SeedImage is one image: a process, or modelled by scripts.
type SeedImage struct {
	Tag     string            `json:"tag"`
	Digest  string            `json:"digest,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"` // annotations of the manifest
	Process *process.Spec     `json:"process,omitempty"`
	// Script is what containers of the image do; Commands is looked through first.
	Script   *SeedScript   `json:"script,omitempty"`
	Commands []SeedCommand `json:"commands,omitempty"`
}

// SeedCommand is what containers do whose command begins so.
type SeedCommand struct {
	Command []string   `json:"command"`
	Script  SeedScript `json:"script"`
}

// SeedScript is script.Script.
type SeedScript struct {
	PullError    string    `json:"pullError,omitempty"`
	StartError   string    `json:"startError,omitempty"`
	StartsIn     Duration  `json:"startsIn,omitempty"`
	HealthStatus int       `json:"healthStatus,omitempty"`
	Hangs        bool      `json:"hangs,omitempty"`
	HealthyFor   Duration  `json:"healthyFor,omitempty"`
	HangsAfter   bool      `json:"hangsAfter,omitempty"`
	Logs         []SeedLog `json:"logs,omitempty"`
	Exit         *SeedExit `json:"exit,omitempty"`
	OnStop       SeedExit  `json:"onStop,omitempty"`
}

// SeedLog is script.Line.
type SeedLog struct {
	After Duration `json:"after,omitempty"`
	Text  string   `json:"text"`
}

// SeedExit is script.Exit.
type SeedExit struct {
	After  Duration `json:"after,omitempty"`
	Code   int32    `json:"code,omitempty"`
	Reason string   `json:"reason,omitempty"`
}

func (s SeedScript) script() script.Script {
	out := script.Script{
		PullError: s.PullError, StartError: s.StartError, StartsIn: time.Duration(s.StartsIn), HealthStatus: s.HealthStatus,
		Hangs: s.Hangs, HealthyFor: time.Duration(s.HealthyFor), HangsAfter: s.HangsAfter, OnStop: s.OnStop.exit(),
	}
	for _, l := range s.Logs {
		out.Logs = append(out.Logs, script.Line{After: time.Duration(l.After), Text: l.Text})
	}
	if s.Exit != nil {
		x := s.Exit.exit()
		out.Exit = &x
	}
	return out
}

func (x SeedExit) exit() script.Exit {
	return script.Exit{After: time.Duration(x.After), Code: x.Code, Reason: x.Reason}
}

// SeedSecret is a secret. Value is its string; JSON, instead of it, its members.
type SeedSecret struct {
	Name  string            `json:"name"`
	Value string            `json:"value,omitempty"`
	JSON  map[string]string `json:"json,omitempty"`
}

// SeedParameter is a parameter of the parameter store.
type SeedParameter struct {
	Name  string `json:"name"`
	Type  string `json:"type,omitempty"` // String, StringList, SecureString; empty: String
	Value string `json:"value"`
}

// SeedGroup is a target group of IP addresses that speak HTTP. What is left out is AWS's default.
type SeedGroup struct {
	Name                string    `json:"name"`
	Port                int32     `json:"port"`
	Path                string    `json:"path,omitempty"`
	Codes               string    `json:"codes,omitempty"`
	Interval            Duration  `json:"interval,omitempty"`
	Timeout             Duration  `json:"timeout,omitempty"`
	HealthyThreshold    int32     `json:"healthyThreshold,omitempty"`
	UnhealthyThreshold  int32     `json:"unhealthyThreshold,omitempty"`
	DeregistrationDelay *Duration `json:"deregistrationDelay,omitempty"`
}

// SeedBalancer is an application load balancer.
type SeedBalancer struct {
	Name      string         `json:"name"`
	Listeners []SeedListener `json:"listeners,omitempty"`
}

// SeedListener forwards to one target group, and to an alternate one, if any, with weight 0. RealPort is where it
// listens on 127.0.0.1 in an account with processes; 0 takes a free port.
type SeedListener struct {
	Port                 int32  `json:"port"`
	RealPort             int    `json:"realPort,omitempty"`
	TargetGroup          string `json:"targetGroup"`
	AlternateTargetGroup string `json:"alternateTargetGroup,omitempty"`
}

// SeedAlarm is a metric alarm in a state.
type SeedAlarm struct {
	Name      string `json:"name"`
	State     string `json:"state,omitempty"`     // OK, ALARM, INSUFFICIENT_DATA; empty: OK
	Metric    string `json:"metric,omitempty"`    // empty: the alarm's name
	Namespace string `json:"namespace,omitempty"` // empty: Seed, which nothing measures
	Period    int32  `json:"period,omitempty"`    // seconds
	Periods   int32  `json:"periods,omitempty"`
	// Datapoints is how many of the periods turn it; 0: all.
	Datapoints int32   `json:"datapoints,omitempty"`
	Threshold  float64 `json:"threshold,omitempty"`
	Statistic  string  `json:"statistic,omitempty"` // empty: Sum
	// Comparison is a ComparisonOperator; empty: GreaterThanThreshold.
	Comparison string `json:"comparison,omitempty"`
	Missing    string `json:"missing,omitempty"` // treatMissingData; empty: missing
	// LoadBalancer and TargetGroup name entries of the file: they become the alarm's dimensions.
	LoadBalancer string            `json:"loadBalancer,omitempty"`
	TargetGroup  string            `json:"targetGroup,omitempty"`
	Dimensions   map[string]string `json:"dimensions,omitempty"`
}

// SeedTable is a table of DynamoDB's, whose keys are texts.
type SeedTable struct {
	Name    string `json:"name"`
	HashKey string `json:"hashKey"`
	SortKey string `json:"sortKey,omitempty"`
}

// Duration is a time.Duration that a seed file writes as 90s, 1m30s or 250ms.
type Duration time.Duration

// UnmarshalJSON reads what time.ParseDuration reads, and nothing below zero.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("must be a duration such as 30s, found %s", b)
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return fmt.Errorf("must be a duration such as 30s, found %q", text)
	}
	*d = Duration(v)
	return nil
}

// ReadSeed reads a seed file. The executables of its processes are looked for from dir on. An error names the
// field by its path, such as repositories[0].images[1].digest.
func ReadSeed(data []byte, dir string) (*Seed, error) {
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, fmt.Errorf("seed is not YAML: %w", err)
	}
	s := &Seed{}
	if err := decodeStrict(asJSON, s); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	for r, repository := range s.Repositories {
		for i, image := range repository.Images {
			if image.Process == nil {
				continue
			}
			for name, path := range image.Process.Files {
				if !filepath.IsAbs(path) {
					path = filepath.Join(dir, path)
				}
				if info, err := os.Stat(path); err != nil || info.IsDir() {
					return nil, fmt.Errorf("seed: repositories[%d].images[%d].process.files.%s: there is no executable %s", r, i, name, path)
				}
				image.Process.Files[name] = path
			}
		}
	}
	return s, nil
}
