package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
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

// elsewhere is the account that AWS publishes aws-for-fluent-bit from; it stands for any account that is not ours.
const elsewhere = "906394416424"

// denies refuses whoever asks about images of the repository, or about a secret or parameter whose name has the text.
func (w *world) denies(account, text string) {
	w.sim.Faults.Add(wire.Fault{Refuse: func(c *wire.Call) error {
		switch in := c.Input.(type) {
		case *ecr.DescribeImagesInput:
			if aws.ToString(in.RegistryId) == account && aws.ToString(in.RepositoryName) == text {
				return refused("AccessDeniedException")
			}
		case *secretsmanager.DescribeSecretInput:
			if strings.Contains(aws.ToString(in.SecretId), text) {
				return refused("AccessDeniedException")
			}
		}
		return nil
	}})
}

// withTemplate registers a template that is changed, and then a revision of it.
func (w *world) withTemplate(change func(in *awsecs.RegisterTaskDefinitionInput)) (revision string) {
	in := taskDefinition("orders-template", "placeholder:1")
	change(in)
	must(w.sim.ECS.RegisterTaskDefinition(w.ctx(), in))
	return w.mustAct(w.register("v2")).Revision
}

func (w *world) startable(revision string) observed.Startable {
	s := w.observe(observed.Look{Startable: []string{revision}, Fresh: true})
	if len(s.Missing) > 0 {
		w.Errorf("missing %+v", s.Missing)
	}
	return s.Startable[revision]
}

// A role's policy names the repositories of what git declares, and another account's repository lets others pull and seldom describe. A
// sidecar's image that may not be looked at is not held against the way back.
func TestSidecarThatCannotBeLookedAtIsNotHeldAgainstTheWayBack(t *testing.T) {
	for name, of := range map[string]string{"of another account": elsewhere, "of a repository that the role does not name": sim.DefaultAccount} {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 71}, func(w *world) {
				revision := w.withTemplate(func(in *awsecs.RegisterTaskDefinitionInput) {
					in.ContainerDefinitions = append(in.ContainerDefinitions, types.ContainerDefinition{
						Name: aws.String("log_router"), Essential: aws.Bool(false),
						Image: aws.String(of + ".dkr.ecr." + sim.DefaultRegion + ".amazonaws.com/aws-for-fluent-bit:stable"),
					})
				})
				w.denies(of, "aws-for-fluent-bit")
				if got := w.startable(revision); !got.OK || len(got.Tagged) > 0 {
					w.Errorf("%+v", got)
				}
			})
		})
	}
}

// A secret or a shared parameter of another account, which ECS reads by its whole ARN with the execution role, is not held against the way
// back either; nor is the own parameter of that name taken for it.
func TestSecretOfAnotherAccountIsNotHeldAgainstTheWayBack(t *testing.T) {
	for service, id := range map[string]string{"secretsmanager": "secret:shared/key-AbCdEf", "ssm": "parameter/shared/key"} {
		t.Run(service, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 72}, func(w *world) {
				revision := w.withTemplate(func(in *awsecs.RegisterTaskDefinitionInput) {
					in.ContainerDefinitions[0].Secrets = []types.Secret{{Name: aws.String("SHARED"), ValueFrom: aws.String("arn:aws:" + service + ":" + sim.DefaultRegion + ":" + elsewhere + ":" + id)}}
				})
				w.denies(elsewhere, elsewhere)
				if got := w.startable(revision); !got.OK {
					w.Errorf("%+v", got)
				}
			})
		})
	}
}

// Which version they have is not known, and stays so: no version of something else's is taken for it.
func TestVersionOfAnotherAccountsSecretIsNotKnown(t *testing.T) {
	bubble(t, sim.Config{Seed: 73}, func(w *world) {
		arn := func(service, id string) string {
			return "arn:aws:" + service + ":" + sim.DefaultRegion + ":" + elsewhere + ":" + id
		}
		references := []string{arn("ssm", "parameter/shared/key"), arn("secretsmanager", "secret:shared/key-AbCdEf")}
		look := observed.Look{Secrets: references, Fresh: true}
		w.denies(elsewhere, elsewhere)
		before := w.observe(look)
		must(w.sim.SSM.PutParameter(w.ctx(), &ssm.PutParameterInput{Name: aws.String("/shared/key"), Value: aws.String("ours"), Type: "String"}))
		time.Sleep(time.Hour)
		after := w.observe(look)
		for _, r := range references {
			if before.Secrets[r] == "" || before.Secrets[r] != after.Secrets[r] {
				w.Errorf("%s: first %q (missing %+v), then %q", r, before.Secrets[r], before.Missing, after.Secrets[r])
			}
		}
	})
}

// What git declares may come from a central account: it is looked for there, and a denial is one of a permission that the role must have.
func TestImageOfACentralAccountIsLookedFor(t *testing.T) {
	bubble(t, sim.Config{Seed: 75}, func(w *world) {
		w.with(account.OutputRepository, elsewhere+".dkr.ecr."+sim.DefaultRegion+".amazonaws.com/orders")
		ask := w.register("v2")
		app := ask.Containers[container]
		app.Image = elsewhere + ".dkr.ecr." + sim.DefaultRegion + ".amazonaws.com/orders@" + digest("v2")
		ask.Containers[container] = app
		time.Sleep(time.Hour) // the stack's outputs are kept
		revision := w.mustAct(ask).Revision
		w.denies(elsewhere, "orders")
		s := w.observe(observed.Look{Startable: []string{revision}, Fresh: true})
		if m, lacks := s.Lacks(observed.FactStartable); !lacks || m.Reason != fault.ReasonAccessDenied {
			w.Errorf("%+v, missing %+v", s.Startable, s.Missing)
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
