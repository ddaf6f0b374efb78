package ecs

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// canonical is what ECS stores of a registration: sizes as integers in
// strings, its own defaults filled in, some absent lists made empty, named lists
// sorted. Origin: the member documentation of RegisterTaskDefinition and
// ContainerDefinition in the ECS API reference.
func canonical(in *awsecs.RegisterTaskDefinitionInput) (types.TaskDefinition, error) {
	in = clone(in)
	cpu, err := sized(in.Cpu, "cpu", cpuUnits)
	if err != nil {
		return types.TaskDefinition{}, err
	}
	memory, err := sized(in.Memory, "memory", memoryUnits)
	if err != nil {
		return types.TaskDefinition{}, err
	}
	td := types.TaskDefinition{
		Family: in.Family, Cpu: cpu, Memory: memory,
		NetworkMode: in.NetworkMode, RequiresCompatibilities: in.RequiresCompatibilities,
		TaskRoleArn: in.TaskRoleArn, ExecutionRoleArn: in.ExecutionRoleArn,
		RuntimePlatform: in.RuntimePlatform, EphemeralStorage: in.EphemeralStorage,
		EnableFaultInjection: in.EnableFaultInjection, ProxyConfiguration: in.ProxyConfiguration,
		IpcMode: in.IpcMode, PidMode: in.PidMode, InferenceAccelerators: in.InferenceAccelerators,
		Volumes: orEmpty(in.Volumes), PlacementConstraints: orEmpty(in.PlacementConstraints),
		ContainerDefinitions: in.ContainerDefinitions,
	}
	if td.NetworkMode == "" {
		td.NetworkMode = types.NetworkModeBridge
	}
	if td.EnableFaultInjection == nil {
		td.EnableFaultInjection = aws.Bool(false)
	}
	td.Compatibilities = []types.Compatibility{types.CompatibilityEc2}
	if fargateCapable(&td) {
		td.Compatibilities = append(td.Compatibilities, types.CompatibilityFargate)
	}
	for i := range td.Volumes {
		canonicalVolume(&td.Volumes[i])
	}
	for i := range td.ContainerDefinitions {
		canonicalContainer(&td.ContainerDefinitions[i], td.NetworkMode)
	}
	return td, nil
}

func canonicalVolume(v *types.Volume) {
	if v.ConfiguredAtLaunch == nil {
		v.ConfiguredAtLaunch = aws.Bool(false)
	}
	if efs := v.EfsVolumeConfiguration; efs != nil {
		if efs.RootDirectory == nil {
			efs.RootDirectory = aws.String("/")
		}
		if efs.TransitEncryption == "" {
			efs.TransitEncryption = types.EFSTransitEncryptionDisabled
		}
		if efs.AuthorizationConfig != nil && efs.AuthorizationConfig.Iam == "" {
			efs.AuthorizationConfig.Iam = types.EFSAuthorizationConfigIAMDisabled
		}
	}
}

func canonicalContainer(c *types.ContainerDefinition, mode types.NetworkMode) {
	if c.Essential == nil {
		c.Essential = aws.Bool(true)
	}
	c.Environment = orEmpty(c.Environment)
	c.MountPoints = orEmpty(c.MountPoints)
	c.VolumesFrom = orEmpty(c.VolumesFrom)
	c.SystemControls = orEmpty(c.SystemControls)
	c.PortMappings = orEmpty(c.PortMappings)
	for i := range c.PortMappings {
		p := &c.PortMappings[i]
		if p.Protocol == "" {
			p.Protocol = types.TransportProtocolTcp
		}
		if p.HostPort == nil && p.ContainerPort != nil {
			p.HostPort = aws.Int32(0)
			if mode == types.NetworkModeAwsvpc || mode == types.NetworkModeHost {
				p.HostPort = aws.Int32(*p.ContainerPort)
			}
		}
	}
	slices.SortStableFunc(c.PortMappings, func(a, b types.PortMapping) int {
		if d := int(aws.ToInt32(a.ContainerPort)) - int(aws.ToInt32(b.ContainerPort)); d != 0 {
			return d
		}
		return strings.Compare(string(a.Protocol), string(b.Protocol))
	})
	c.Environment = lastWins(c.Environment)
	slices.SortStableFunc(c.Secrets, func(a, b types.Secret) int {
		return strings.Compare(aws.ToString(a.Name), aws.ToString(b.Name))
	})
	if h := c.HealthCheck; h != nil {
		h.Interval, h.Timeout, h.Retries = orInt(h.Interval, 30), orInt(h.Timeout, 5), orInt(h.Retries, 3)
	}
	if r := c.RestartPolicy; r != nil {
		r.RestartAttemptPeriod = orInt(r.RestartAttemptPeriod, 300)
	}
	if l := c.LogConfiguration; l != nil {
		l.SecretOptions = orEmpty(l.SecretOptions)
	}
}

// lastWins sorts by name; of equal names the last stays.
func lastWins(env []types.KeyValuePair) []types.KeyValuePair {
	out := []types.KeyValuePair{}
	for i, kv := range env {
		later := slices.ContainsFunc(env[i+1:], func(o types.KeyValuePair) bool { return aws.ToString(o.Name) == aws.ToString(kv.Name) })
		if !later {
			out = append(out, kv)
		}
	}
	slices.SortStableFunc(out, func(a, b types.KeyValuePair) int {
		return strings.Compare(aws.ToString(a.Name), aws.ToString(b.Name))
	})
	return out
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func orInt(p *int32, standard int32) *int32 {
	if p == nil {
		return aws.Int32(standard)
	}
	return p
}

var (
	cpuUnits    = regexp.MustCompile(`^(\d*\.?\d+)\s*(?i:vcpus?)$`)
	memoryUnits = regexp.MustCompile(`^(\d*\.?\d+)\s*(?i:gb)$`)
)

// sized turns "1024", "1 vCPU" or "1 GB" into "1024".
func sized(in *string, member string, units *regexp.Regexp) (*string, error) {
	if in == nil {
		return nil, nil
	}
	text := strings.TrimSpace(*in)
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return aws.String(strconv.Itoa(n)), nil
	}
	if m := units.FindStringSubmatch(text); m != nil {
		if f, err := strconv.ParseFloat(m[1], 64); err == nil && f > 0 {
			return aws.String(strconv.Itoa(int(f*1024 + 0.5))), nil
		}
	}
	return nil, client("Invalid '%s' setting for task.", member)
}
