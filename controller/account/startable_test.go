package account_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
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

// What a release has to know of images is asked for at once: the tag, and whether the image that it would go back to is still there. Where
// one of them is not, the other is what it is.
func TestImagesAreAskedForTogether(t *testing.T) {
	for _, c := range []struct {
		name, tag string
		gone      bool // the image of the way back
		requests  int
	}{
		{"both are there", "v1", false, 1},
		{"the tag is not there", "v9", false, 4},
		{"the way back's is not there", "v1", true, 3},
		{"both are one", digest("v2"), false, 1},
		{"both are one, which is not there", digest("v2"), true, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 11}, func(w *world) {
				revision := w.mustAct(w.register("v2")).Revision
				w.observe(observed.Look{Revisions: []string{revision}})
				if c.gone {
					must(w.sim.ECR.BatchDeleteImage(w.ctx(), &ecr.BatchDeleteImageInput{RepositoryName: aws.String("orders"), ImageIds: []ecrtypes.ImageIdentifier{{ImageDigest: aws.String(digest("v2"))}}}))
				}
				time.Sleep(time.Hour)
				w.sim.Calls.Reset()
				look := observed.Look{Containers: map[string]string{container: c.tag}, Revisions: []string{revision}}
				began := time.Now()
				w.observe(look)
				look.Startable, look.Fresh, look.Since = look.Revisions, true, began
				s := w.observe(look) // the same pass looks again
				want := digest(c.tag)
				switch {
				case c.tag == "v9" || c.tag == digest("v2") && c.gone:
					want = ""
				case c.tag == digest("v2"):
					want = c.tag
				}
				if got := s.Images[container].Digest; got != want {
					w.Errorf("%s is %q, want %q; missing %+v", c.tag, got, want, s.Missing)
				}
				if got := s.Startable[revision]; got.OK == c.gone || c.gone && got.Lacks != observed.LackImage {
					w.Errorf("the way back is %+v", got)
				}
				if n := w.sim.Calls.Count("ecr", "DescribeImages"); n != c.requests {
					w.Errorf("%d requests, want %d", n, c.requests)
				}
				time.Sleep(time.Hour)
				w.sim.Calls.Reset()
				w.observe(observed.Look{Containers: look.Containers, Revisions: look.Revisions})
				if n := w.sim.Calls.Count("ecr", "DescribeImages"); n > 1 {
					w.Errorf("%d requests an hour later, want one for the tag at most", n)
				}
			})
		})
	}
}
