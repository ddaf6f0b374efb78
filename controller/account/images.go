package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// registry is where an image of ECR's lives.
type registry struct{ account, region, repository, tag, digest string }

var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)(?::([^@]+))?(?:@(sha256:[0-9a-f]{64}))?$`)

// parseImage reads an image reference of ECR's; ok is false for any other registry.
func parseImage(image string) (r registry, ok bool) {
	m := ecrImage.FindStringSubmatch(image)
	if m == nil {
		return registry{}, false
	}
	return registry{account: m[1], region: m[2], repository: m[3], tag: m[4], digest: m[5]}, true
}

// observeImages answers what each asked tag is in the stack's repository now.
func (a *Account) observeImages(ctx context.Context, s *observed.Service, look observed.Look) error {
	uri := s.Stack.Outputs[OutputRepository]
	repo, ok := parseImage(uri)
	if !ok || repo.region != a.opts.Region {
		return fault.New(fault.Blocked, "repository_unknown", fmt.Errorf(
			"output %s of stack %s is %q, not a repository of ECR in %s", OutputRepository, s.Stack.Name, uri, a.opts.Region))
	}
	s.Images = map[string]observed.Image{}
	var failed []error
	for _, container := range slices.Sorted(maps.Keys(look.Containers)) {
		tag := look.Containers[container]
		digest, err := a.digest(ctx, repo, tag, freshnessOf(look))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		image := observed.Image{Tag: tag, Digest: digest}
		if digest != "" {
			image.URI = uri + "@" + digest
		}
		s.Images[container] = image
	}
	return errors.Join(failed...)
}

// digest answers what the reference, a tag or a digest, is now; empty where it does not exist. Only one that exists is
// kept, and briefly: a tag may be moved.
func (a *Account) digest(ctx context.Context, repo registry, reference string, fresh freshness) (string, error) {
	key := repo.account + "/" + repo.repository + ":" + reference
	if digest, ok := a.tags.get(key, fresh.within(a.opts.TemplateAge)); ok {
		return digest, nil
	}
	id := ecrtypes.ImageIdentifier{ImageTag: &reference}
	if strings.HasPrefix(reference, "sha256:") {
		id = ecrtypes.ImageIdentifier{ImageDigest: &reference}
	}
	digest, err := a.describeImage(ctx, repo, id)
	if err == nil && digest != "" {
		a.tags.put(key, digest)
	}
	return digest, err
}

// imageNow answers the digest that the image has in its repository now, empty where it is not there. Of images of other registries
// and regions nothing is known: nothing here could tell.
func (a *Account) imageNow(ctx context.Context, image string, fresh freshness) (digest string, known bool, err error) {
	r, ok := parseImage(image)
	if !ok || r.region != a.opts.Region {
		return "", false, nil
	}
	if digest, ok := a.images.get(image, fresh.within(a.opts.ImageAge)); ok {
		return digest, true, nil
	}
	id := ecrtypes.ImageIdentifier{ImageTag: aws.String(r.tag)}
	switch {
	case r.digest != "":
		id = ecrtypes.ImageIdentifier{ImageDigest: aws.String(r.digest)}
	case r.tag == "":
		id = ecrtypes.ImageIdentifier{ImageTag: aws.String("latest")}
	}
	digest, err = a.describeImage(ctx, r, id)
	if fault.CodeOf(err) == "RepositoryNotFoundException" {
		return "", true, nil
	}
	if err == nil && digest != "" {
		a.images.put(image, digest)
	}
	return digest, true, err
}

// describeImage answers the image's digest, empty where the repository has no such image.
func (a *Account) describeImage(ctx context.Context, repo registry, id ecrtypes.ImageIdentifier) (string, error) {
	out, err := a.aws.ECR.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RegistryId: &repo.account, RepositoryName: &repo.repository, ImageIds: []ecrtypes.ImageIdentifier{id},
	})
	var absent *ecrtypes.ImageNotFoundException
	if errors.As(err, &absent) {
		return "", nil
	}
	if err = deed(err, "look for image %s%s in repository %s", aws.ToString(id.ImageTag), aws.ToString(id.ImageDigest), repo.repository); err != nil {
		if fault.Is(err, fault.NotFound) {
			return "", blocked(err)
		}
		return "", err
	}
	if len(out.ImageDetails) == 0 {
		return "", nil
	}
	return aws.ToString(out.ImageDetails[0].ImageDigest), nil
}
