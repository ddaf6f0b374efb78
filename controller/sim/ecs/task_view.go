package ecs

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// What is shown of a task is shown so often that it shares memory: with the task, where that does not change, and with what was shown
// before. Nobody may change it.

// view is the task as DescribeTasks shows it.
func (t *task) view(withTags bool) types.Task {
	v := types.Task{
		TaskArn: &t.arn, ClusterArn: &t.cluster.arn, TaskDefinitionArn: &t.td.arn,
		LastStatus: t.status.shown(), DesiredStatus: running.shown(), Version: t.version,
		Group: present(&t.plan.group), StartedBy: present(&t.plan.startedBy), Cpu: t.td.Cpu, Memory: t.td.Memory,
		LaunchType: t.launchType(), CapacityProviderName: present(&t.plan.capacityProvider), EnableExecuteCommand: t.plan.executeCommand,
		PlatformFamily: &platformFamily, PlatformVersion: aws.String(resolvedPlatform(t.plan.platformVersion)),
		AvailabilityZone: &t.net.zone, HealthStatus: t.healthStatus(), Overrides: t.viewOverrides(),
		CreatedAt: when(t.createdAt), PullStartedAt: when(t.pullStartedAt), PullStoppedAt: when(t.pullStoppedAt),
		StartedAt: when(t.startedAt), StoppingAt: when(t.stoppingAt), ExecutionStoppedAt: when(t.executionStoppedAt),
		StoppedAt: when(t.stoppedAt), StopCode: t.stopCode, StoppedReason: text(t.stoppedReason),
		Attributes: taskAttributes, Attachments: t.attachments(), Containers: make([]types.Container, 0, len(t.containers)),
		InferenceAccelerators: []types.InferenceAccelerator{},
		EphemeralStorage:      &ephemeralStorage,
	}
	if !t.wanted {
		v.DesiredStatus = stopped.shown()
	}
	if t.td.EphemeralStorage != nil {
		v.EphemeralStorage = t.td.EphemeralStorage
	}
	if t.status > provisioning {
		v.Connectivity, v.ConnectivityAt = types.ConnectivityConnected, when(t.pullStartedAt)
	}
	for _, c := range t.containers {
		v.Containers = append(v.Containers, t.viewContainer(c))
	}
	if withTags {
		v.Tags = t.tags.list()
	}
	return v
}

// What is the same of all tasks on Fargate.
var (
	platformFamily   = "Linux"
	ephemeralStorage = types.EphemeralStorage{SizeInGiB: 20}
	taskAttributes   = []types.Attribute{{Name: aws.String("ecs.cpu-architecture"), Value: aws.String("x86_64")}}
)

func (t *task) viewContainer(c *container) types.Container {
	if c.shown == nil {
		c.shown = &types.Container{
			Name: c.def.Name, Image: c.def.Image, RuntimeId: &c.runtimeID, TaskArn: &t.arn,
			ContainerArn: aws.String(strings.Replace(t.arn, ":task/", ":container/", 1) + "/" + c.runtimeID[len(t.id)+1:]),
			Cpu:          aws.String(decimal(c.def.Cpu)), NetworkBindings: []types.NetworkBinding{},
			NetworkInterfaces: []types.NetworkInterface{{AttachmentId: &t.net.attachment, PrivateIpv4Address: &t.net.ip}},
		}
		if c.def.Memory != nil {
			c.shown.Memory = aws.String(decimal(*c.def.Memory))
		}
	}
	v := *c.shown
	v.ImageDigest, v.ExitCode, v.Reason = text(c.digest), exitCode(c), text(c.reason)
	v.LastStatus, v.HealthStatus = pending.shown(), c.health
	switch {
	case c.exit != nil || t.status >= deprovisioning:
		v.LastStatus = stopped.shown()
	case c.ran && t.status >= running:
		v.LastStatus = running.shown()
	}
	return v
}

func (t *task) viewOverrides() *types.TaskOverride {
	if t.shownOverrides == nil {
		v := t.plan.overrides
		v.InferenceAcceleratorOverrides = []types.InferenceAcceleratorOverride{}
		if v.ContainerOverrides == nil {
			for _, c := range t.containers {
				if !c.injected {
					v.ContainerOverrides = append(v.ContainerOverrides, types.ContainerOverride{Name: c.def.Name})
				}
			}
		}
		t.shownOverrides = &v
	}
	return t.shownOverrides
}

// attachments are the task's network interface, as Fargate shows it.
func (t *task) attachments() []types.Attachment {
	status := &attached
	switch {
	case t.status == provisioning:
		status = &attaching
	case t.status == stopped:
		status = &detached
	}
	if len(t.shownAttachments) == 0 || t.shownAttachments[0].Status != status {
		t.shownAttachments = []types.Attachment{{
			Id: &t.net.attachment, Type: &networkInterface, Status: status,
			Details: []types.KeyValuePair{
				{Name: &detailNames[0], Value: &t.net.subnet}, {Name: &detailNames[1], Value: &t.net.eni},
				{Name: &detailNames[2], Value: &t.net.mac}, {Name: &detailNames[3], Value: &t.net.ip},
			},
		}}
	}
	return t.shownAttachments
}

var (
	networkInterface              = "ElasticNetworkInterface"
	attaching, attached, detached = "ATTACHING", "ATTACHED", "DELETED"
	detailNames                   = [...]string{"subnetId", "networkInterfaceId", "macAddress", "privateIPv4Address"}
)

// present is a text that does not change, nil where it is empty.
func present(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}
