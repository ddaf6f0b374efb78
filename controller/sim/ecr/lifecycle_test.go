package ecr_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/canteen/deploy/controller/sim/ecr"
)

func digestOf(n int) string { return "sha256:" + fmt.Sprintf("%064d", n) }

func TestLifecycleExpiresOnDemand(t *testing.T) {
	const rule = `{"rulePriority":%d,"selection":{%s},"action":{"type":"expire"}}`
	for _, c := range []struct {
		name, rules string
		gone        []int // images are pushed a day apart, 0 first; 1 has no tag, 2 and 3 are release-…, the others dev-…
	}{
		{"count", fmt.Sprintf(rule, 1, `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":2`), []int{0, 1, 2, 3}},
		{"untagged", fmt.Sprintf(rule, 1, `"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1`), []int{1}},
		{"age", fmt.Sprintf(rule, 1, `"tagStatus":"any","countType":"sinceImagePushed","countUnit":"days","countNumber":3`), []int{0, 1, 2}},
		{"an image belongs to the first rule that selects it",
			fmt.Sprintf(rule, 2, `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1`) + "," +
				fmt.Sprintf(rule, 1, `"tagStatus":"tagged","tagPrefixList":["release-"],"countType":"imageCountMoreThan","countNumber":9`), []int{0, 1, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := ecr.New(ecr.Config{Account: "000000000000", Region: "eu-central-1"})
				if _, err := e.CreateRepository(t.Context(), &awsecr.CreateRepositoryInput{RepositoryName: aws.String("r")}); err != nil {
					t.Fatal(err)
				}
				for i, tag := range []string{"dev-0", "", "release-2", "release-3", "dev-4", "dev-5"} {
					if err := e.PutLabelled("r", tag, digestOf(i), nil, nil); err != nil {
						t.Fatal(err)
					}
					time.Sleep(24 * time.Hour)
				}
				if gone, err := e.ExpireNow("r"); err != nil || gone != nil {
					t.Errorf("without a policy: %v, %v", gone, err)
				}
				if _, err := e.PutLifecyclePolicy(t.Context(), &awsecr.PutLifecyclePolicyInput{RepositoryName: aws.String("r"), LifecyclePolicyText: aws.String(`{"rules":[` + c.rules + `]}`)}); err != nil {
					t.Fatal(err)
				}
				var want []string
				for _, n := range c.gone {
					want = append(want, digestOf(n))
				}
				gone, err := e.ExpireNow("r")
				if err != nil || !slices.Equal(gone, want) {
					t.Errorf("gone %v, %v; want %v", gone, err, want)
				}
				for _, d := range gone {
					if _, _, err := e.Resolve(e.Registry() + "/r@" + d); err == nil || !strings.Contains(err.Error(), ": not found") {
						t.Errorf("%s can still be pulled: %v", d, err)
					}
				}
			})
		})
	}
}

func TestLifecyclePoliciesAreChecked(t *testing.T) {
	e := ecr.New(ecr.Config{})
	if _, err := e.CreateRepository(t.Context(), &awsecr.CreateRepositoryInput{RepositoryName: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`,
		`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":0},"action":{"type":"expire"}}]}`,
		`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"keep"}}]}`} {
		if _, err := e.PutLifecyclePolicy(t.Context(), &awsecr.PutLifecyclePolicyInput{RepositoryName: aws.String("r"), LifecyclePolicyText: &text}); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestLabelsAndMutability(t *testing.T) {
	e := ecr.New(ecr.Config{Account: "000000000000", Region: "eu-central-1"})
	name := aws.String("r")
	if _, err := e.CreateRepository(t.Context(), &awsecr.CreateRepositoryInput{RepositoryName: name}); err != nil {
		t.Fatal(err)
	}
	if err := e.PutLabelled("r", "v1", digestOf(1), map[string]string{"org.opencontainers.image.revision": "1a2b3c4"}, nil); err != nil {
		t.Fatal(err)
	}
	out, err := e.BatchGetImage(t.Context(), &awsecr.BatchGetImageInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v1")}}})
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Config struct{ Digest string } }
	if err := json.Unmarshal([]byte(*out.Images[0].ImageManifest), &manifest); err != nil {
		t.Fatal(err)
	}
	if config := fetch(t, e, "r", manifest.Config.Digest); !strings.Contains(config, `"Labels":{"org.opencontainers.image.revision":"1a2b3c4"}`) {
		t.Errorf("config %s", config)
	}
	if err := e.PutLabelled("r", "v1", digestOf(2), nil, nil); err != nil {
		t.Errorf("a mutable tag: %v", err)
	}
	if _, err := e.PutImageTagMutability(t.Context(), &awsecr.PutImageTagMutabilityInput{RepositoryName: name, ImageTagMutability: types.ImageTagMutabilityImmutable}); err != nil {
		t.Fatal(err)
	}
	if err := e.PutLabelled("r", "v1", digestOf(3), nil, nil); err == nil {
		t.Error("an immutable tag moved")
	}
}
