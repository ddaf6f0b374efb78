package account

import (
	"context"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"pgregory.net/rapid"

	sim "github.com/canteen/deploy/controller/sim/ecs"
)

// TestCanonicalSurvivesRegistration: what ECS returns for a registration has the content that was sent.
func TestCanonicalSurvivesRegistration(t *testing.T) {
	engine, err := sim.New(sim.Config{Account: "000000000000", Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	var all packer
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		want := canonicalOf(t, in)
		made, err := engine.RegisterTaskDefinition(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		if got := canonicalOf(t, inputOf(made.TaskDefinition)); got != want {
			t.Fatalf("registered %s\nwant       %s", got, want)
		}
		out, err := engine.DescribeTaskDefinition(context.Background(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: made.TaskDefinition.TaskDefinitionArn})
		if err != nil {
			t.Fatal(err)
		}
		if got := canonicalOf(t, inputOf(out.TaskDefinition)); got != want {
			t.Fatalf("described %s\nwant      %s", got, want)
		}
		out.TaskDefinition.RegisteredAt = nil     // has the clock of this process in it, which nothing writes
		kept, err := all.pack(out.TaskDefinition) // beside those that were drawn before
		if err != nil {
			t.Fatal(err)
		}
		if again, err := kept.definition(); err != nil || !reflect.DeepEqual(again, out.TaskDefinition) {
			t.Fatalf("error %v, or it differs from what was described: %+v", err, again)
		}
	})
}
