package sim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// physical is what Ref answers for a resource: its name, its ARN as the seed will know it, or an id that is made up.
func (r *reader) physical(id string) (any, error) {
	one, ok := r.resources[id]
	if !ok {
		return nil, fmt.Errorf("Ref names %s, which the template does not have", id)
	}
	named := func(kind, member string) (any, error) {
		name, ok := one.Properties[member].(string)
		if !ok {
			return nil, fmt.Errorf("resource %s has no %s", id, member)
		}
		if kind == "" {
			return name, nil
		}
		return "${" + kind + ":" + name + "}", nil
	}
	switch one.Type {
	case "AWS::EC2::Subnet":
		return madeUp("subnet", r.stack, id), nil
	case "AWS::EC2::SecurityGroup":
		return madeUp("sg", r.stack, id), nil
	case "AWS::ElasticLoadBalancingV2::TargetGroup":
		return named("targetGroup", "Name")
	case "AWS::ElasticLoadBalancingV2::LoadBalancer":
		return named("loadBalancer", "Name")
	case "AWS::SecretsManager::Secret":
		return named("secret", "Name")
	case "AWS::SecretsManager::SecretTargetAttachment": // the secret's ARN
		return r.resolve(one.Properties["SecretId"])
	case "AWS::ECS::TaskDefinition":
		return named("", "Family")
	case "AWS::SSM::Parameter":
		return named("", "Name")
	}
	return madeUp(strings.ToLower(one.Type[strings.LastIndex(one.Type, ":")+1:]), r.stack, id), nil
}

// attribute is what Fn::GetAtt answers: as above where the seed knows it, else made up.
func (r *reader) attribute(id, name string) (any, error) {
	one, ok := r.resources[id]
	if !ok {
		return nil, fmt.Errorf("Fn::GetAtt names %s, which the template does not have", id)
	}
	switch one.Type + "." + name {
	case "AWS::EC2::SecurityGroup.GroupId":
		return r.physical(id)
	case "AWS::ElasticLoadBalancingV2::LoadBalancer.LoadBalancerFullName":
		return fullName + one.Properties["Name"].(string), nil
	case "AWS::ElasticLoadBalancingV2::TargetGroup.TargetGroupFullName":
		return fullName + one.Properties["Name"].(string), nil
	}
	return madeUp(strings.ToLower(name), r.stack, id), nil
}

// fullName marks a load balancer's or target group's name where an alarm has the last part of its ARN.
const fullName = "full name of "

func madeUp(kind, stack, id string) string {
	sum := sha256.Sum256([]byte(stack + "/" + id))
	return fmt.Sprintf("%s-%x", kind, sum[:8])
}

// plays are the types that become part of the seed.
func (r *reader) plays() map[string]func(id string, p properties) error {
	s := r.seed
	ignore := func(string, properties) error { return nil }
	return map[string]func(string, properties) error{
		"AWS::EC2::Subnet": func(id string, p properties) error {
			s.VPC.Subnets = append(s.VPC.Subnets, SeedSubnet{ID: madeUp("subnet", r.stack, id), Zone: text(p, "AvailabilityZone")})
			return nil
		},
		"AWS::EC2::SecurityGroup": func(id string, _ properties) error {
			s.VPC.SecurityGroups = append(s.VPC.SecurityGroups, madeUp("sg", r.stack, id))
			return nil
		},
		"AWS::ECS::Cluster": func(_ string, p properties) error {
			s.Clusters = append(s.Clusters, text(p, "ClusterName"))
			return nil
		},
		"AWS::Logs::LogGroup": func(_ string, p properties) error {
			s.LogGroups = append(s.LogGroups, text(p, "LogGroupName"))
			return nil
		},
		"AWS::ECR::Repository": func(_ string, p properties) error {
			s.Repositories = append(s.Repositories, SeedRepository{Name: text(p, "RepositoryName"), Immutable: text(p, "ImageTagMutability") == "IMMUTABLE"})
			return nil
		},
		"AWS::SSM::Parameter": func(_ string, p properties) error {
			r.parameters[text(p, "Name")] = text(p, "Value")
			s.Parameters = append(s.Parameters, SeedParameter{Name: text(p, "Name"), Type: text(p, "Type"), Value: text(p, "Value")})
			return nil
		},
		"AWS::SecretsManager::Secret":               r.secret,
		"AWS::ElasticLoadBalancingV2::TargetGroup":  r.targetGroup,
		"AWS::ElasticLoadBalancingV2::LoadBalancer": r.loadBalancer,
		"AWS::ElasticLoadBalancingV2::Listener":     ignore, // with its load balancer
		"AWS::ElasticLoadBalancingV2::ListenerRule": ignore,
		"AWS::CloudWatch::Alarm":                    r.alarm,
		"AWS::DynamoDB::Table":                      r.table,
		"AWS::ECS::TaskDefinition": func(_ string, p properties) error {
			s.TaskDefinitions = append(s.TaskDefinitions, asRequest(p))
			return nil
		},
		"AWS::ECS::Service": func(_ string, p properties) error { s.Services = append(s.Services, asRequest(p)); return nil },
	}
}

func text(p properties, member string) string { v, _ := p[member].(string); return v }

func whole(p properties, member string) int32 { v, _ := p[member].(float64); return int32(v) }

// secret has a generated value: a word that is the same each time.
func (r *reader) secret(_ string, p properties) error {
	generate, ok := p["GenerateSecretString"].(properties)
	if !ok {
		return fmt.Errorf("only generated secrets are played")
	}
	value := map[string]string{}
	if err := json.Unmarshal([]byte(text(generate, "SecretStringTemplate")), &value); err != nil {
		return fmt.Errorf("SecretStringTemplate: %w", err)
	}
	value[text(generate, "GenerateStringKey")] = "generated-by-the-local-account"
	r.seed.Secrets = append(r.seed.Secrets, SeedSecret{Name: text(p, "Name"), JSON: value})
	return nil
}

func (r *reader) targetGroup(_ string, p properties) error {
	seconds := func(member string) Duration { return Duration(time.Duration(whole(p, member)) * time.Second) }
	g := SeedGroup{
		Name: text(p, "Name"), Port: whole(p, "Port"), Path: text(p, "HealthCheckPath"), Interval: seconds("HealthCheckIntervalSeconds"), Timeout: seconds("HealthCheckTimeoutSeconds"),
		HealthyThreshold: whole(p, "HealthyThresholdCount"), UnhealthyThreshold: whole(p, "UnhealthyThresholdCount"),
	}
	if m, ok := p["Matcher"].(properties); ok {
		g.Codes = text(m, "HttpCode")
	}
	for _, a := range list(p["TargetGroupAttributes"]) {
		if text(a, "Key") == "deregistration_delay.timeout_seconds" {
			delay, err := time.ParseDuration(text(a, "Value") + "s")
			if err != nil {
				return err
			}
			g.DeregistrationDelay = (*Duration)(&delay)
		}
	}
	r.seed.TargetGroups = append(r.seed.TargetGroups, g)
	return nil
}

// loadBalancer has those of its listeners that lead to a target group, by themselves or by a rule. They speak HTTP here, ask
// nobody to log in, and forward every path.
func (r *reader) loadBalancer(id string, p properties) error {
	b := SeedBalancer{Name: text(p, "Name")}
	for _, listener := range slices.Sorted(maps.Keys(r.resources)) {
		l := r.resources[listener]
		if l.Type != "AWS::ElasticLoadBalancingV2::Listener" || !isRef(l.Properties["LoadBalancerArn"], id) {
			continue
		}
		actions := list(l.Properties["DefaultActions"])
		for _, rule := range slices.Sorted(maps.Keys(r.resources)) {
			if one := r.resources[rule]; one.Type == "AWS::ElasticLoadBalancingV2::ListenerRule" && isRef(one.Properties["ListenerArn"], listener) {
				actions = append(actions, list(one.Properties["Actions"])...)
			}
		}
		for _, a := range actions {
			to, _ := a["TargetGroupArn"].(map[string]any)
			if group, ok := to["Ref"].(string); ok && a["Type"] == "forward" {
				b.Listeners = append(b.Listeners, SeedListener{Port: whole(l.Properties, "Port"), TargetGroup: text(r.resources[group].Properties, "Name")})
			}
		}
	}
	r.seed.LoadBalancers = append(r.seed.LoadBalancers, b)
	return nil
}

func isRef(v any, id string) bool {
	m, _ := v.(map[string]any)
	return m["Ref"] == id
}

func list(v any) []properties {
	var out []properties
	items, _ := v.([]any)
	for _, item := range items {
		if p, ok := item.(map[string]any); ok {
			out = append(out, p)
		}
	}
	return out
}

// alarm watches one metric: of those of an expression the first, since none is computed here.
func (r *reader) alarm(_ string, p properties) error {
	threshold, _ := p["Threshold"].(float64)
	a := SeedAlarm{
		Name: text(p, "AlarmName"), Namespace: text(p, "Namespace"), Metric: text(p, "MetricName"), Statistic: text(p, "Statistic"), Comparison: text(p, "ComparisonOperator"),
		Period: whole(p, "Period"), Periods: whole(p, "EvaluationPeriods"), Threshold: threshold, Datapoints: whole(p, "DatapointsToAlarm"), Missing: text(p, "TreatMissingData"), Dimensions: map[string]string{},
	}
	dimensions := p["Dimensions"]
	for _, m := range list(p["Metrics"]) {
		if stat, ok := m["MetricStat"].(properties); ok && a.Metric == "" {
			metric, _ := stat["Metric"].(properties)
			a.Namespace, a.Metric, a.Statistic, a.Period = text(metric, "Namespace"), text(metric, "MetricName"), text(stat, "Stat"), whole(stat, "Period")
			dimensions = metric["Dimensions"]
		}
	}
	if a.Metric == "" {
		return fmt.Errorf("alarm %s has neither a metric nor an expression of some", a.Name)
	}
	for _, d := range list(dimensions) {
		name, full := strings.CutPrefix(text(d, "Value"), fullName)
		switch {
		case full && text(d, "Name") == "LoadBalancer":
			a.LoadBalancer = name
		case full:
			a.TargetGroup = name
		default:
			a.Dimensions[text(d, "Name")] = name
		}
	}
	r.seed.Alarms = append(r.seed.Alarms, a)
	return nil
}

func (r *reader) table(_ string, p properties) error {
	t := SeedTable{Name: text(p, "TableName")}
	for _, k := range list(p["KeySchema"]) {
		if text(k, "KeyType") == "HASH" {
			t.HashKey = text(k, "AttributeName")
		} else {
			t.SortKey = text(k, "AttributeName")
		}
	}
	r.seed.Tables = append(r.seed.Tables, t)
	return nil
}

// asRequest writes a resource of Amazon ECS's as its API takes it: the same members, which begin with a small letter there.
func asRequest(p properties) map[string]any {
	out := map[string]any{}
	for k, v := range p {
		if k == "Options" || k == "DockerLabels" { // keys of the user's own
			out[strings.ToLower(k[:1])+k[1:]] = v
			continue
		}
		out[strings.ToLower(k[:1])+k[1:]] = small(v)
	}
	return out
}

func small(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return asRequest(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = small(item)
		}
		return out
	}
	return v
}
