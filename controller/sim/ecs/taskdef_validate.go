package ecs

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	containersMax  = 10  // ECS quota: containers in a task definition
	stopTimeoutMax = 120 // seconds, on Fargate
)

var familyRE = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// validateTaskDefinition refuses what ECS refuses at registration.
func validateTaskDefinition(in *awsecs.RegisterTaskDefinitionInput) error {
	if err := only(in, "", "Family", "ContainerDefinitions", "Cpu", "Memory", "EnableFaultInjection", "EphemeralStorage",
		"ExecutionRoleArn", "TaskRoleArn", "InferenceAccelerators", "IpcMode", "PidMode", "NetworkMode", "PlacementConstraints",
		"ProxyConfiguration", "RequiresCompatibilities", "RuntimePlatform", "Tags", "Volumes"); err != nil {
		return err
	}
	if !familyRE.MatchString(aws.ToString(in.Family)) {
		return client("Family should match %s", familyRE)
	}
	if len(in.ContainerDefinitions) == 0 {
		return client("Container list cannot be empty.")
	}
	if len(in.ContainerDefinitions) > containersMax {
		return client("Container definitions list cannot exceed %d items.", containersMax)
	}
	for i := range in.ContainerDefinitions {
		if err := validateContainer(&in.ContainerDefinitions[i], in); err != nil {
			return err
		}
		name := aws.ToString(in.ContainerDefinitions[i].Name)
		for j := range i {
			if aws.ToString(in.ContainerDefinitions[j].Name) == name {
				return client("Container.name %s is used more than once.", name)
			}
		}
	}
	if !slices.ContainsFunc(in.ContainerDefinitions, func(c types.ContainerDefinition) bool { return c.Essential == nil || *c.Essential }) {
		return client("A task definition must have at least one essential container.")
	}
	if !slices.Contains(in.RequiresCompatibilities, types.CompatibilityFargate) {
		return nil
	}
	if in.NetworkMode != types.NetworkModeAwsvpc {
		return client("Fargate only supports network mode ‘awsvpc’.")
	}
	content, err := canonical(in)
	if err != nil {
		return err
	}
	if !fargateSize(content.Cpu, content.Memory) {
		return client("No Fargate configuration exists for given values.")
	}
	return nil
}

func validateContainer(c *types.ContainerDefinition, in *awsecs.RegisterTaskDefinitionInput) error {
	name := aws.ToString(c.Name)
	awslogs := c.LogConfiguration != nil && c.LogConfiguration.LogDriver == types.LogDriverAwslogs
	switch {
	case !familyRE.MatchString(name):
		return client("Container.name should match %s", familyRE)
	case aws.ToString(c.Image) == "":
		return client("Container.image should not be null or empty.")
	case in.Memory == nil && c.Memory == nil && c.MemoryReservation == nil:
		return client("Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", name)
	case aws.ToInt32(c.StopTimeout) > stopTimeoutMax:
		return client("Invalid setting for container '%s'. stopTimeout must be at most %d seconds.", name, stopTimeoutMax)
	case len(c.Secrets) > 0 && in.ExecutionRoleArn == nil:
		return client("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	case awslogs && in.ExecutionRoleArn == nil && slices.Contains(in.RequiresCompatibilities, types.CompatibilityFargate):
		return client("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
	case awslogs && c.LogConfiguration.Options["awslogs-group"] == "":
		return client("Log driver awslogs requires option awslogs-group.")
	case c.HealthCheck != nil && len(c.HealthCheck.Command) == 0:
		return client("Invalid setting for container '%s'. healthCheck.command must not be empty.", name)
	}
	for _, p := range c.PortMappings {
		if in.NetworkMode == types.NetworkModeAwsvpc && p.HostPort != nil && *p.HostPort != aws.ToInt32(p.ContainerPort) {
			return client("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")
		}
	}
	return nil
}

// fargateSize knows the pairs of task CPU units and MiB that Fargate offers
// (ECS API reference, Task.memory).
func fargateSize(cpu, memory *string) bool {
	c, errC := strconv.Atoi(aws.ToString(cpu))
	m, errM := strconv.Atoi(aws.ToString(memory))
	if errC != nil || errM != nil {
		return false
	}
	within := func(low, high, step int) bool { return m >= low*1024 && m <= high*1024 && m%(step*1024) == 0 }
	switch c {
	case 256:
		return m == 512 || m == 1024 || m == 2048
	case 512:
		return within(1, 4, 1)
	case 1024:
		return within(2, 8, 1)
	case 2048:
		return within(4, 16, 1)
	case 4096:
		return within(8, 30, 1)
	case 8192:
		return within(16, 60, 4)
	case 16384:
		return within(32, 120, 8)
	}
	return false
}

func fargateCapable(td *types.TaskDefinition) bool {
	return td.NetworkMode == types.NetworkModeAwsvpc && fargateSize(td.Cpu, td.Memory)
}

// runnable refuses to start what would behave differently here than on real
// ECS. Members without influence on what the API shows (volumes, ulimits,
// users, Linux parameters, …) are stored and given back, and pass.
func runnable(td *taskDefinition) error {
	if !fargateCapable(&td.TaskDefinition) {
		return invalid("Task definition does not support launch_type FARGATE.")
	}
	if td.ProxyConfiguration != nil {
		return unsupported("proxyConfiguration is not modelled by this local account")
	}
	if len(td.InferenceAccelerators) > 0 {
		return unsupported("inferenceAccelerators is not modelled by this local account")
	}
	for _, c := range td.ContainerDefinitions {
		member := ""
		switch {
		case len(c.DependsOn) > 0:
			member = "dependsOn"
		case c.RestartPolicy != nil && aws.ToBool(c.RestartPolicy.Enabled):
			member = "restartPolicy"
		case len(c.EnvironmentFiles) > 0:
			member = "environmentFiles"
		case len(c.ResourceRequirements) > 0:
			member = "resourceRequirements"
		case c.FirelensConfiguration != nil:
			member = "firelensConfiguration"
		case c.RepositoryCredentials != nil:
			member = "repositoryCredentials"
		case c.LogConfiguration != nil && c.LogConfiguration.LogDriver != types.LogDriverAwslogs:
			member = "logConfiguration.logDriver " + string(c.LogConfiguration.LogDriver)
		}
		if member != "" {
			return unsupported("containerDefinitions[%s].%s is not modelled by this local account", aws.ToString(c.Name), member)
		}
	}
	return nil
}
