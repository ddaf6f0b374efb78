package story

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// What people do in the console, without git. It goes to the account's engines directly, so that neither faults nor the
// Observer take it for the controller's.

// service is the ECS service as the account shows it, nil where there is none.
func (w *World) service(name string) *types.Service {
	out, err := w.account.ECS.DescribeServices(context.Background(), &awsecs.DescribeServicesInput{
		Cluster: aws.String("main"), Services: []string{name}, Include: []types.ServiceField{types.ServiceFieldTags},
	})
	if err != nil || len(out.Services) == 0 {
		return nil
	}
	return &out.Services[0]
}

// DeployByHand registers a copy of what runs with another image, and deploys it.
func (w *World) DeployByHand(service, tag string) error {
	ctx, s := context.Background(), w.service(service)
	i := w.image(service, tag)
	if s == nil || i.digest == "" {
		return fmt.Errorf("there is no service %s, or no image %s of it", service, tag)
	}
	was, err := w.account.ECS.DescribeTaskDefinition(ctx, &awsecs.DescribeTaskDefinitionInput{TaskDefinition: s.TaskDefinition})
	if err != nil {
		return err
	}
	td := was.TaskDefinition
	td.ContainerDefinitions[0].Image = aws.String(fmt.Sprintf("%s/%s@%s", w.account.ECR.Registry(), service, i.digest))
	made, err := w.account.ECS.RegisterTaskDefinition(ctx, registration(td, service))
	if err != nil {
		return err
	}
	w.journal.add("by hand", "deploys %s with image %s", last(aws.ToString(made.TaskDefinition.TaskDefinitionArn)), tag)
	_, err = w.account.ECS.UpdateService(ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("main"), Service: &service, TaskDefinition: made.TaskDefinition.TaskDefinitionArn})
	return err
}

func registration(td *types.TaskDefinition, family string) *awsecs.RegisterTaskDefinitionInput {
	return &awsecs.RegisterTaskDefinitionInput{
		Family: &family, ContainerDefinitions: td.ContainerDefinitions, Cpu: td.Cpu, Memory: td.Memory, NetworkMode: td.NetworkMode,
		RequiresCompatibilities: td.RequiresCompatibilities, ExecutionRoleArn: td.ExecutionRoleArn, TaskRoleArn: td.TaskRoleArn,
	}
}

// ChangeTemplate gives the service's template more memory, as a deployment of its stack does.
func (w *World) ChangeTemplate(service string) error {
	ctx := context.Background()
	was, err := w.account.ECS.DescribeTaskDefinition(ctx, &awsecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(service + "-template")})
	if err != nil {
		return err
	}
	in := registration(was.TaskDefinition, service+"-template")
	in.Memory = aws.String("1024")
	w.Observer.changed(service)
	w.journal.add("by hand", "the template of %s gets more memory", service)
	_, err = w.account.ECS.RegisterTaskDefinition(ctx, in)
	return err
}

func (o *Observer) changed(service string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.templates[service] = time.Now()
}

// ScaleByHand sets the count.
func (w *World) ScaleByHand(service string, count int) error {
	w.journal.add("by hand", "scales %s to %d", service, count)
	_, err := w.account.ECS.UpdateService(context.Background(), &awsecs.UpdateServiceInput{Cluster: aws.String("main"), Service: &service, DesiredCount: aws.Int32(int32(count))})
	return err
}

// ForceByHand deploys once more what is deployed.
func (w *World) ForceByHand(service string) error {
	w.journal.add("by hand", "forces a new deployment of %s", service)
	_, err := w.account.ECS.UpdateService(context.Background(), &awsecs.UpdateServiceInput{Cluster: aws.String("main"), Service: &service, ForceNewDeployment: true})
	return err
}

// StopTaskByHand stops one task of the service, or its migration.
func (w *World) StopTaskByHand(service string, migration bool) error {
	ctx := context.Background()
	in := &awsecs.ListTasksInput{Cluster: aws.String("main"), ServiceName: &service}
	if migration {
		in = &awsecs.ListTasksInput{Cluster: aws.String("main"), Family: &service}
	}
	tasks, err := w.account.ECS.ListTasks(ctx, in)
	if err != nil {
		return err
	}
	for _, arn := range tasks.TaskArns {
		if migration && w.Observer.migration(arn) == nil {
			continue
		}
		w.journal.add("by hand", "stops task %.8s", last(arn))
		_, err = w.account.ECS.StopTask(ctx, &awsecs.StopTaskInput{Cluster: aws.String("main"), Task: &arn, Reason: aws.String("stopped in the console")})
		return err
	}
	return errors.New("there is no such task to stop")
}

func (o *Observer) migration(task string) *migrationSeen {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.migrations[task]
}

// RollBackByHand stops the service's deployment with a rollback.
func (w *World) RollBackByHand(service string) error {
	ctx := context.Background()
	open, err := w.account.ECS.ListServiceDeployments(ctx, &awsecs.ListServiceDeploymentsInput{
		Cluster: aws.String("main"), Service: &service, Status: []types.ServiceDeploymentStatus{types.ServiceDeploymentStatusInProgress}})
	if err != nil {
		return err
	}
	if len(open.ServiceDeployments) == 0 {
		return errors.New("there is no deployment to stop")
	}
	w.journal.add("by hand", "stops the deployment of %s and rolls it back", service)
	_, err = w.account.ECS.StopServiceDeployment(ctx, &awsecs.StopServiceDeploymentInput{
		ServiceDeploymentArn: open.ServiceDeployments[0].ServiceDeploymentArn, StopType: types.StopServiceDeploymentStopTypeRollback})
	return err
}

// TagByHand writes a tag of the service.
func (w *World) TagByHand(service, key, value string) error {
	s := w.service(service)
	if s == nil {
		return fmt.Errorf("there is no service %s", service)
	}
	w.journal.add("by hand", "tags %s %s=%s", service, key, value)
	_, err := w.account.ECS.TagResource(context.Background(), &awsecs.TagResourceInput{
		ResourceArn: s.ServiceArn, Tags: []types.Tag{{Key: &key, Value: &value}}})
	return err
}

// Alarm turns an alarm red or green.
func (w *World) Alarm(name string, red bool) error {
	state := cwtypes.StateValueOk
	if red {
		state = cwtypes.StateValueAlarm
		w.moments["the alarm"] = time.Now()
	}
	return w.setAlarm(name, state)
}

func (w *World) setAlarm(name string, state cwtypes.StateValue) error {
	w.journal.add("alarm", "%s is %s", name, state)
	_, err := w.account.Alarms.SetAlarmState(context.Background(), &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: state, StateReason: aws.String("story")})
	return err
}
