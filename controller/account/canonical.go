package account

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Canonical is the content of a task definition as canonical JSON: what RegisterTaskDefinition was sent and what
// DescribeTaskDefinition returns for it are equal bytes. The family and the tags are not content. Defaults that ECS fills
// in are filled in or left out alike, lists without a meaning of order are sorted, and what is empty is dropped; the
// defaults are those of the ECS API reference for RegisterTaskDefinition and ContainerDefinition.
func Canonical(in *ecs.RegisterTaskDefinitionInput) ([]byte, error) {
	content := *in
	content.Family, content.Tags = nil, nil
	raw, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write task definition as JSON: %w", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read task definition's JSON: %w", err)
	}
	canonicalTask(tree)
	prune(tree)
	return json.Marshal(tree)
}

// inputOf is the request that would register td again, in its own family and without tags. What ECS adds (ARN, revision,
// status, compatibilities, dates) has no place in it.
func inputOf(td *types.TaskDefinition) *ecs.RegisterTaskDefinitionInput {
	return &ecs.RegisterTaskDefinitionInput{
		Family:                  td.Family,
		ContainerDefinitions:    slices.Clone(td.ContainerDefinitions),
		Cpu:                     td.Cpu,
		EnableFaultInjection:    td.EnableFaultInjection,
		EphemeralStorage:        td.EphemeralStorage,
		ExecutionRoleArn:        td.ExecutionRoleArn,
		InferenceAccelerators:   td.InferenceAccelerators,
		IpcMode:                 td.IpcMode,
		Memory:                  td.Memory,
		NetworkMode:             td.NetworkMode,
		PidMode:                 td.PidMode,
		PlacementConstraints:    td.PlacementConstraints,
		ProxyConfiguration:      td.ProxyConfiguration,
		RequiresCompatibilities: td.RequiresCompatibilities,
		RuntimePlatform:         td.RuntimePlatform,
		TaskRoleArn:             td.TaskRoleArn,
		Volumes:                 td.Volumes,
	}
}

type object = map[string]any

func canonicalTask(t object) {
	fill(t, "NetworkMode", "bridge")
	t["Cpu"] = units(text(t, "Cpu"), "vcpu")
	t["Memory"] = units(text(t, "Memory"), "gb")
	for _, role := range []string{"TaskRoleArn", "ExecutionRoleArn"} {
		// A short name is accepted and may come back as an ARN; names are unique in an account.
		t[role] = name(text(t, role))
	}
	if p, ok := t["RuntimePlatform"].(object); ok {
		drop(p, "CpuArchitecture", "X86_64")
		drop(p, "OperatingSystemFamily", "LINUX")
	}
	for _, v := range objects(t["Volumes"]) {
		canonicalVolume(v)
	}
	mode := text(t, "NetworkMode")
	for _, c := range objects(t["ContainerDefinitions"]) {
		canonicalContainer(c, mode)
	}
	sortBy(t, "ContainerDefinitions", "Name")
	sortBy(t, "Volumes", "Name")
	if list, ok := t["RequiresCompatibilities"].([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
}

func canonicalVolume(v object) {
	efs, ok := v["EfsVolumeConfiguration"].(object)
	if !ok {
		return
	}
	drop(efs, "RootDirectory", "/")
	drop(efs, "TransitEncryption", "DISABLED")
	if auth, ok := efs["AuthorizationConfig"].(object); ok {
		drop(auth, "Iam", "DISABLED")
	}
}

func canonicalContainer(c object, networkMode string) {
	fill(c, "Essential", true)
	drop(c, "VersionConsistency", "enabled")
	for _, p := range objects(c["PortMappings"]) {
		fill(p, "Protocol", "tcp")
		if networkMode != "bridge" && number(p["HostPort"]) == 0 {
			p["HostPort"] = p["ContainerPort"]
		}
	}
	if check, ok := c["HealthCheck"].(object); ok {
		fill(check, "Interval", json.Number("30"))
		fill(check, "Timeout", json.Number("5"))
		fill(check, "Retries", json.Number("3"))
	}
	if policy, ok := c["RestartPolicy"].(object); ok {
		fill(policy, "RestartAttemptPeriod", json.Number("300"))
	}
	lastWins(c, "Environment")
	sortBy(c, "Secrets", "Name")
	if ports, ok := c["PortMappings"].([]any); ok {
		slices.SortStableFunc(ports, func(a, b any) int {
			x, y := a.(object), b.(object)
			return cmp.Or(cmp.Compare(number(x["ContainerPort"]), number(y["ContainerPort"])), cmp.Compare(text(x, "Protocol"), text(y, "Protocol")))
		})
	}
}

// units turns ".25 vCPU" into "256" and "1 GB" into "1024", as ECS does; a plain number stays.
func units(s, unit string) string {
	quantity, found := strings.CutSuffix(strings.ToLower(strings.TrimSpace(s)), unit)
	if !found {
		return strings.TrimSpace(s)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(quantity), 64)
	if err != nil {
		return s
	}
	return strconv.Itoa(int(n * 1024))
}

// lastWins keeps, of several variables with one name, the last, and sorts by name.
func lastWins(c object, member string) {
	byName := map[string]any{}
	for _, v := range objects(c[member]) {
		byName[text(v, "Name")] = v
	}
	list := make([]any, 0, len(byName))
	for _, k := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, byName[k])
	}
	c[member] = list
}

func sortBy(o object, member, key string) {
	if list, ok := o[member].([]any); ok {
		slices.SortStableFunc(list, func(a, b any) int { return cmp.Compare(text(a.(object), key), text(b.(object), key)) })
	}
}

// prune drops what is empty: ECS returns [] or nothing, false or nothing, 0 or nothing for what was not sent.
func prune(v any) bool {
	switch v := v.(type) {
	case object:
		for k, member := range v {
			if prune(member) {
				delete(v, k)
			}
		}
		return len(v) == 0
	case []any:
		for _, item := range v {
			prune(item)
		}
		return len(v) == 0
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		return v.String() == "0"
	}
	return v == nil
}

func fill(o object, member string, v any) {
	if o[member] == nil || o[member] == "" || o[member] == json.Number("0") {
		o[member] = v
	}
}

func drop(o object, member, preset string) {
	if text(o, member) == preset {
		delete(o, member)
	}
}

func text(o object, member string) string {
	s, _ := o[member].(string)
	return s
}

func number(v any) int {
	n, _ := v.(json.Number)
	i, _ := strconv.Atoi(n.String())
	return i
}

func objects(v any) []object {
	list, _ := v.([]any)
	out := make([]object, 0, len(list))
	for _, item := range list {
		if o, ok := item.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

// logTarget is where one container's output goes, as far as awslogs says.
type logTarget struct {
	container, group, prefix, region string
}

// logTargets are the containers with an awslogs driver; without a stream prefix ECS names streams after the container's
// runtime id, which cannot be known before, so such a container has no target.
func logTargets(td *types.TaskDefinition) []logTarget {
	var out []logTarget
	for _, c := range td.ContainerDefinitions {
		log := c.LogConfiguration
		if log == nil || log.LogDriver != types.LogDriverAwslogs || log.Options["awslogs-stream-prefix"] == "" {
			continue
		}
		out = append(out, logTarget{
			container: word(aws.ToString(c.Name)), group: strings.Clone(log.Options["awslogs-group"]),
			prefix: word(log.Options["awslogs-stream-prefix"]), region: word(log.Options["awslogs-region"]),
		})
	}
	return out
}
