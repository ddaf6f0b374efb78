package ecs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func TestDeleteCluster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		td := w.register("web:1")
		w.settle(td, 1)
		remove := func() error {
			_, err := w.DeleteCluster(ctx(), &awsecs.DeleteClusterInput{Cluster: aws.String("c")})
			return err
		}
		refused[*types.ClusterContainsServicesException](t, "a service", "while Services are active", remove())
		must(w.DeleteService(ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), Force: aws.Bool(true)}))
		refused[*types.ClusterContainsServicesException](t, "a service that drains", "while Services are active", remove())
		pass(5 * time.Minute)
		run := must(w.RunTask(ctx(), &awsecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: &td, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnets()})).Tasks[0]
		refused[*types.ClusterContainsTasksException](t, "a task", "while Tasks are active", remove())
		must(w.StopTask(ctx(), &awsecs.StopTaskInput{Cluster: aws.String("c"), Task: run.TaskArn}))
		pass(5 * time.Minute)
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		refused[*types.ClusterNotFoundException](t, "again", "Cluster not found.", remove())
		refused[*types.InvalidParameterException](t, "no name", "blank", func() error {
			_, err := w.DeleteCluster(ctx(), &awsecs.DeleteClusterInput{})
			return err
		}())
		describe := func() *awsecs.DescribeClustersOutput {
			return must(w.DescribeClusters(ctx(), &awsecs.DescribeClustersInput{Clusters: []string{"c"}}))
		}
		if out := describe(); len(out.Clusters) != 1 || *out.Clusters[0].Status != "INACTIVE" {
			t.Errorf("described for a while: %+v", out)
		}
		if out := must(w.ListClusters(ctx(), &awsecs.ListClustersInput{})); len(out.ClusterArns) != 0 {
			t.Errorf("listed: %v", out.ClusterArns)
		}
		pass(2 * time.Hour)
		if out := describe(); len(out.Clusters) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("later: %+v", out)
		}
		must(w.CreateCluster(ctx(), &awsecs.CreateClusterInput{ClusterName: aws.String("c")}))
		if out := describe(); *out.Clusters[0].Status != "ACTIVE" {
			t.Errorf("anew: %+v", out)
		}
	})
}
