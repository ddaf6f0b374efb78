package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Template is a CloudFormation template with the name of its stack.
type Template struct {
	Stack string
	Body  []byte // JSON
}

// Reading is what became of templates.
type Reading struct {
	Seed   *Seed
	Played []string          // types of resources that are in the seed
	Not    map[string]string // types that are not, with what that means
}

// ReadTemplates makes a seed of the resources that a deployment meets: the templates' own, by the names and numbers that they
// have. Stacks are in the order of their making: a later one may read parameters of an earlier one. What the local account has no
// likeness of is answered in Not; what it knows and cannot do as the template says is an error.
//
// Known are Ref, Fn::GetAtt, Fn::Join, Fn::If and resources' conditions on Fn::Equals and Fn::Not, and {{resolve:ssm:…}}. Ids that AWS would give are made up.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
func ReadTemplates(templates ...Template) (Reading, error) {
	r := &reader{seed: &Seed{VPC: &SeedVPC{}}, parameters: map[string]string{}}
	out := Reading{Seed: r.seed, Not: map[string]string{}}
	for _, t := range templates {
		if err := r.read(t, &out); err != nil {
			return Reading{}, fmt.Errorf("template of %s: %w", t.Stack, err)
		}
	}
	slices.Sort(out.Played)
	out.Played = slices.Compact(out.Played)
	return out, nil
}

type properties = map[string]any

type resource struct {
	Type       string
	Condition  string
	Properties properties
	DependsOn  any
	Metadata   any

	DeletionPolicy, UpdateReplacePolicy string
}

// reader reads one template after the other. Values that AWS gives at creation stand in the seed as ${kind:name}.
type reader struct {
	seed       *Seed
	parameters map[string]string // of the parameter store, from the templates so far

	stack      string
	resources  map[string]resource
	inputs     map[string]struct{ Type, Default string }
	conditions map[string]any
}

// notPlayed are the types without a likeness. Others that are missing in `plays` are errors.
var notPlayed = map[string]string{
	"AWS::EC2::VPC": "addresses and ways are not modelled", "AWS::EC2::RouteTable": "addresses and ways are not modelled",
	"AWS::EC2::SubnetRouteTableAssociation": "addresses and ways are not modelled", "AWS::EC2::Route": "addresses and ways are not modelled",
	"AWS::EC2::EIP": "addresses and ways are not modelled", "AWS::EC2::NatGateway": "addresses and ways are not modelled",
	"AWS::EC2::InternetGateway": "addresses and ways are not modelled", "AWS::EC2::VPCGatewayAttachment": "addresses and ways are not modelled",
	"AWS::EC2::VPCEndpoint": "addresses and ways are not modelled", "AWS::EC2::SecurityGroupIngress": "everybody reaches everybody",
	"AWS::EC2::SecurityGroupEgress": "everybody reaches everybody",
	"AWS::IAM::Role":                "roles exist; the controller's policy is checked by package iam", "AWS::IAM::OIDCProvider": "nobody logs in",
	"AWS::RDS::DBInstance": "modelled tasks have no database", "AWS::RDS::DBSubnetGroup": "modelled tasks have no database", "AWS::RDS::DBParameterGroup": "modelled tasks have no database",
	"AWS::SecretsManager::SecretTargetAttachment": "the secret's name and ARN are those of the secret", "AWS::SecretsManager::RotationSchedule": "nothing rotates by itself",
	"AWS::SecretsManager::ResourcePolicy": "everybody may read secrets", "AWS::Serverless::Application": "the function that rotates",
	"AWS::SQS::Queue": "the controller reads none", "AWS::SQS::QueuePolicy": "the controller reads none", "AWS::Events::Rule": "the controller reads no queue", "AWS::SNS::Topic": "alarms tell nobody",
}

func (r *reader) read(t Template, out *Reading) error {
	var body struct {
		Resources  map[string]resource
		Parameters map[string]struct{ Type, Default string }
		Conditions map[string]any
		Outputs    map[string]struct{ Value any }
	}
	if err := json.Unmarshal(t.Body, &body); err != nil {
		return err
	}
	r.stack, r.resources, r.inputs, r.conditions = t.Stack, body.Resources, body.Parameters, body.Conditions
	plays := r.plays()
	ids := slices.SortedFunc(maps.Keys(body.Resources), func(a, b string) int {
		// Revisions of one family and services are made in the order of their names; everything else has its section's order.
		return cmp.Or(cmp.Compare(body.Resources[a].Type, body.Resources[b].Type), cmp.Compare(a, b))
	})
	for _, id := range ids {
		one := body.Resources[id]
		play, ok := plays[one.Type]
		if !ok {
			why, known := notPlayed[one.Type]
			if !known {
				return fmt.Errorf("resource %s: type %s is neither played nor known not to be", id, one.Type)
			}
			out.Not[one.Type] = why
			continue
		}
		if there, err := r.holds(one.Condition); err != nil {
			return fmt.Errorf("resource %s: %w", id, err)
		} else if !there {
			continue
		}
		resolved, err := r.resolve(one.Properties)
		if err == nil {
			err = play(id, resolved.(properties))
		}
		if err != nil {
			return fmt.Errorf("resource %s (%s): %w", id, one.Type, err)
		}
		out.Played = append(out.Played, one.Type)
	}
	stack := SeedStack{Name: t.Stack, Outputs: map[string]string{}}
	for name, o := range body.Outputs {
		value, err := r.resolve(o.Value)
		if err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
		stack.Outputs[name] = fmt.Sprint(value)
	}
	r.seed.Stacks = append(r.seed.Stacks, stack)
	return nil
}

var dynamic = regexp.MustCompile(`^\{\{resolve:ssm:([^:}]+)\}\}$`)

// resolve computes a value. A member whose value is AWS::NoValue is left out.
func (r *reader) resolve(v any) (any, error) {
	switch v := v.(type) {
	case string:
		if m := dynamic.FindStringSubmatch(v); m != nil {
			return r.parameter(m[1])
		}
		return v, nil
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			x, err := r.resolve(item)
			if err != nil {
				return nil, err
			}
			if x != nil {
				out = append(out, x)
			}
		}
		return out, nil
	case map[string]any:
		if len(v) == 1 {
			for name, of := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return r.function(name, of)
				}
			}
		}
		out := properties{}
		for k, member := range v {
			x, err := r.resolve(member)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			if x != nil {
				out[k] = x
			}
		}
		return out, nil
	}
	return v, nil
}

func (r *reader) parameter(name string) (any, error) {
	v, ok := r.parameters[name]
	if !ok {
		return nil, fmt.Errorf("parameter %s is in no template before this one", name)
	}
	return v, nil
}

func (r *reader) function(name string, of any) (any, error) {
	switch args, _ := of.([]any); {
	case name == "Ref":
		return r.ref(of.(string))
	case name == "Fn::GetAtt" && len(args) == 2:
		return r.attribute(args[0].(string), args[1].(string))
	case name == "Fn::Join" && len(args) == 2:
		list, err := r.resolve(args[1])
		if err != nil {
			return nil, err
		}
		var parts []string
		for _, p := range list.([]any) {
			parts = append(parts, fmt.Sprint(p))
		}
		return strings.Join(parts, args[0].(string)), nil
	case name == "Fn::If" && len(args) == 3:
		holds, err := r.condition(args[0].(string))
		if err != nil {
			return nil, err
		}
		if holds {
			return r.resolve(args[1])
		}
		return r.resolve(args[2])
	}
	return nil, fmt.Errorf("%s is not modelled here", name)
}

// holds answers whether a resource is made under its condition, which most have none of.
func (r *reader) holds(name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	return r.condition(name)
}

func (r *reader) condition(name string) (bool, error) {
	c, _ := r.conditions[name].(map[string]any)
	if of := list(c["Fn::Not"]); len(of) == 1 && text(of[0], "Condition") != "" {
		holds, err := r.condition(text(of[0], "Condition"))
		return !holds, err
	}
	sides, ok := c["Fn::Equals"].([]any)
	if !ok || len(sides) != 2 {
		return false, fmt.Errorf("condition %s is not Fn::Equals of two values", name)
	}
	a, err := r.resolve(sides[0])
	if err != nil {
		return false, err
	}
	b, err := r.resolve(sides[1])
	return fmt.Sprint(a) == fmt.Sprint(b), err
}

func (r *reader) ref(id string) (any, error) {
	switch id {
	case "AWS::NoValue":
		return nil, nil
	case "AWS::StackName":
		return r.stack, nil
	case "AWS::Region":
		return "${region}", nil
	case "AWS::AccountId":
		return "${account}", nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	}
	if in, ok := r.inputs[id]; ok {
		if in.Type == "AWS::SSM::Parameter::Value<String>" {
			return r.parameter(in.Default)
		}
		return in.Default, nil
	}
	return r.physical(id)
}
