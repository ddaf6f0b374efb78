package account_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/sim"
)

func TestDigestReference(t *testing.T) {
	bubble(t, sim.Config{Seed: 12}, func(w *world) {
		s := w.observe(observed.Look{Containers: map[string]string{container: digest("v2")}})
		if s.Images[container].Digest != digest("v2") {
			w.Errorf("image pinned by digest in git: %+v missing %+v", s.Images, s.Missing)
		}
	})
}

func TestDeregisteredStaysActive(t *testing.T) {
	bubble(t, sim.Config{Seed: 11}, func(w *world) {
		revision := w.mustAct(w.register("v2")).Revision
		w.observe(observed.Look{Revisions: []string{revision}})
		must(w.sim.ECS.DeregisterTaskDefinition(w.ctx(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &revision}))
		s := w.observe(observed.Look{Revisions: []string{revision}, Startable: []string{revision}, Fresh: true})
		if s.Revisions[revision].Active {
			w.Errorf("deregistered, a fresh look still says active")
		}
	})
}

func TestStartableWithoutSecret(t *testing.T) {
	bubble(t, sim.Config{Seed: 11}, func(w *world) {
		revision := w.mustAct(w.register("v2")).Revision
		_, err := w.sim.Secrets.DeleteSecret(w.ctx(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("orders/db"), ForceDeleteWithoutRecovery: aws.Bool(true)})
		if err != nil {
			w.Fatal(err)
		}
		if got := w.observe(observed.Look{Startable: []string{revision}, Fresh: true}).Startable[revision]; got.OK {
			w.Errorf("startable although its secret is gone")
		}
	})
}
