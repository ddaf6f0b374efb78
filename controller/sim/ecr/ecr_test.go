package ecr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/ecr"
)

func registry(t *testing.T, mutability types.ImageTagMutability) *ecr.Engine {
	t.Helper()
	e := ecr.New(ecr.Config{Account: "000000000000", Region: "eu-central-1", Spec: func(m string) (any, error) {
		if m == "bad" {
			return nil, errors.New("not a manifest")
		}
		return "spec of " + m, nil
	}})
	if _, err := e.CreateRepository(t.Context(), &awsecr.CreateRepositoryInput{RepositoryName: aws.String("orders"), ImageTagMutability: mutability}); err != nil {
		t.Fatal(err)
	}
	return e
}

func push(t *testing.T, e *ecr.Engine, tag, manifest string) (digest, code string) {
	t.Helper()
	in := &awsecr.PutImageInput{RepositoryName: aws.String("orders"), ImageManifest: &manifest}
	if tag != "" {
		in.ImageTag = &tag
	}
	out, err := e.PutImage(t.Context(), in)
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return "", api.ErrorCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return *out.Image.ImageId.ImageDigest, ""
}

func TestTagsMoveOnlyWhereTheyMay(t *testing.T) {
	for _, c := range []struct {
		mutability types.ImageTagMutability
		want       string
	}{{types.ImageTagMutabilityMutable, ""}, {types.ImageTagMutabilityImmutable, "ImageTagAlreadyExistsException"}} {
		e := registry(t, c.mutability)
		first, _ := push(t, e, "v1", "one")
		if _, code := push(t, e, "v1", "one"); code != "ImageAlreadyExistsException" {
			t.Errorf("%s: the same again: %q", c.mutability, code)
		}
		second, code := push(t, e, "v1", "two")
		if code != c.want {
			t.Errorf("%s: another image under the tag: got %q, want %q", c.mutability, code, c.want)
		}
		digest, spec, err := e.Resolve(e.Registry() + "/orders:v1")
		want, wantSpec := second, "spec of two"
		if c.want != "" {
			want, wantSpec = first, "spec of one"
		}
		if err != nil || digest != want || spec != wantSpec {
			t.Errorf("%s: resolved to %s, %v, %v", c.mutability, digest, spec, err)
		}
		if _, code := push(t, e, "v2", "one"); code != "" {
			t.Errorf("%s: a second tag: %q", c.mutability, code)
		}
	}
}

func TestResolve(t *testing.T) {
	e := registry(t, types.ImageTagMutabilityMutable)
	digest, _ := push(t, e, "v1", "one")
	base := e.Registry() + "/orders"
	for _, c := range []struct{ ref, wantErr string }{
		{base + ":v1", ""},
		{base + "@" + digest, ""},
		{base + ":v2", "failed to resolve ref " + base + ":v2: " + base + ":v2: not found"},
		{base, ":latest"},
		{base + "@sha256:0", ": not found"},
		{e.Registry() + "/other:v1", "repository does not exist"},
		{"111111111111.dkr.ecr.eu-central-1.amazonaws.com/orders:v1", "repository does not exist"},
	} {
		got, _, err := e.Resolve(c.ref)
		if c.wantErr == "" && (err != nil || got != digest) {
			t.Errorf("%s: %s, %v", c.ref, got, err)
		}
		if c.wantErr != "" && c.ref != base && (err == nil || !strings.Contains(err.Error(), c.wantErr)) {
			t.Errorf("%s: got %v, want %s", c.ref, err, c.wantErr)
		}
		if c.ref == base && err == nil {
			t.Errorf("%s means the tag latest, which is not there", c.ref)
		}
	}
	if _, code := push(t, e, "v3", "bad"); code != "InvalidParameterException" {
		t.Errorf("a manifest that cannot be read: %q", code)
	}
}

func TestReadsAndDeletes(t *testing.T) {
	e := registry(t, types.ImageTagMutabilityMutable)
	ctx := t.Context()
	digest, _ := push(t, e, "v1", "one")
	push(t, e, "v1b", "one")
	id := func(tag string) types.ImageIdentifier { return types.ImageIdentifier{ImageTag: &tag} }
	orders := aws.String("orders")

	out, err := e.DescribeImages(ctx, &awsecr.DescribeImagesInput{RepositoryName: orders, ImageIds: []types.ImageIdentifier{id("v1")}})
	if err != nil || !cmp.Equal(out.ImageDetails[0].ImageTags, []string{"v1", "v1b"}) || *out.ImageDetails[0].ImageDigest != digest {
		t.Errorf("described: %v, %v", out, err)
	}
	_, err = e.DescribeImages(ctx, &awsecr.DescribeImagesInput{RepositoryName: orders, ImageIds: []types.ImageIdentifier{id("v1"), id("v2")}})
	if _, ok := errors.AsType[*types.ImageNotFoundException](err); !ok {
		t.Errorf("one absent image fails the whole call, got %v", err)
	}
	_, err = e.DescribeImages(ctx, &awsecr.DescribeImagesInput{RepositoryName: aws.String("other")})
	if _, ok := errors.AsType[*types.RepositoryNotFoundException](err); !ok {
		t.Errorf("absent repository: %v", err)
	}
	batch, err := e.BatchGetImage(ctx, &awsecr.BatchGetImageInput{RepositoryName: orders, ImageIds: []types.ImageIdentifier{id("v1"), id("v2"), {}, {ImageTag: aws.String("v1"), ImageDigest: aws.String("sha256:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	var codes []types.ImageFailureCode
	for _, f := range batch.Failures {
		codes = append(codes, f.FailureCode)
	}
	if diff := cmp.Diff([]types.ImageFailureCode{"ImageNotFound", "MissingDigestAndTag", "ImageTagDoesNotMatchDigest"}, codes); diff != "" || len(batch.Images) != 1 {
		t.Errorf("batch (-want +got):\n%s", diff)
	}

	deleted := func(ids ...types.ImageIdentifier) {
		t.Helper()
		if _, err := e.BatchDeleteImage(ctx, &awsecr.BatchDeleteImageInput{RepositoryName: orders, ImageIds: ids}); err != nil {
			t.Fatal(err)
		}
	}
	listed := func() int {
		t.Helper()
		out, err := e.ListImages(ctx, &awsecr.ListImagesInput{RepositoryName: orders})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.ImageIds)
	}
	deleted(id("v1"))
	if _, _, err := e.Resolve(e.Registry() + "/orders@" + digest); err != nil || listed() != 1 {
		t.Errorf("an image with a tag left stays: %v", err)
	}
	deleted(id("v1b"))
	if _, _, err := e.Resolve(e.Registry() + "/orders@" + digest); err == nil || listed() != 0 {
		t.Error("the last tag takes the image with it")
	}
}
