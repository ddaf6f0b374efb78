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

	"github.com/canteen/deploy/controller/account/client"
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

// is reports whether both are the same repository.
func (r registry) is(other registry) bool {
	return r.account == other.account && r.region == other.region && r.repository == other.repository
}

// reference is the digest or the tag that names the image in its repository.
func (r registry) reference() string {
	switch {
	case r.digest != "":
		return r.digest
	case r.tag != "":
		return r.tag
	}
	return "latest"
}

// key is what is kept of a reference under.
func (r registry) key(reference string) string {
	return r.account + "/" + r.repository + ":" + reference
}

func identifier(reference string) ecrtypes.ImageIdentifier {
	if strings.HasPrefix(reference, "sha256:") {
		return ecrtypes.ImageIdentifier{ImageDigest: &reference}
	}
	return ecrtypes.ImageIdentifier{ImageTag: &reference}
}

// observeImages answers what each asked tag is in the stack's repository now.
func (a *Account) observeImages(ctx context.Context, s *observed.Service, look observed.Look) error {
	uri := s.Stack.Outputs[OutputRepository]
	repo, ok := parseImage(uri)
	if !ok || repo.region != a.opts.Region {
		return fault.New(fault.Blocked, "repository_unknown", fmt.Errorf(
			"output %s of stack %s is %q, not a repository of ECR in %s", OutputRepository, s.Stack.Name, uri, a.opts.Region))
	}
	if err := a.askTogether(ctx, repo, look); err != nil {
		return err
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

// askTogether asks about the tags and digests that were never asked about and, by the same request, whether the images of the revisions
// that the look names are still there: a release is about to begin, and has to know that next. The answers are kept for those who ask one
// by one. Where an image is not there the whole request fails, and from then on each is asked about by itself.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
func (a *Account) askTogether(ctx context.Context, repo registry, look observed.Look) error {
	images := map[string][]string{} // of revisions, by what names them in the repository; none of what only the look names
	for _, reference := range look.Containers {
		if _, ok := a.tags.get(repo.key(reference), forever); !ok {
			images[reference] = nil
		}
	}
	asked := slices.Collect(maps.Keys(images))
	if len(asked) == 0 {
		return nil
	}
	for _, arn := range slices.Concat(look.Revisions, look.Startable) {
		r, _ := a.revisions.get(arn, forever)
		for _, c := range r.images {
			of, ok := parseImage(c.image)
			if _, known := a.images.get(c.image, freshnessOf(look).within(a.opts.ImageAge)); ok && !known && of.is(repo) {
				images[of.reference()] = append(images[of.reference()], c.image)
			}
		}
	}
	references := slices.Sorted(maps.Keys(images))
	if len(references) == 1 && len(images[references[0]]) == 0 {
		return nil
	}
	ids := make([]ecrtypes.ImageIdentifier, len(references))
	for i, reference := range references {
		ids[i] = identifier(reference)
	}
	found, err := a.describeImages(ctx, repo, ids...)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		found = make([]string, len(references))
	}
	for i, reference := range references {
		if slices.Contains(asked, reference) {
			a.tags.put(repo.key(reference), found[i])
		}
		for _, image := range images[reference] {
			if found[i] != "" {
				a.images.put(image, found[i])
			}
		}
	}
	return nil
}

// digest answers what the reference, a tag or a digest, is now; empty where it does not exist, which is asked anew each time. One that
// exists is kept briefly: a tag may be moved.
func (a *Account) digest(ctx context.Context, repo registry, reference string, fresh freshness) (string, error) {
	key := repo.key(reference)
	if digest, ok := a.tags.get(key, fresh.within(a.opts.TemplateAge)); ok && digest != "" {
		return digest, nil
	}
	digest, err := a.describeImage(ctx, repo, reference)
	if err == nil && digest != "" {
		a.tags.put(key, digest)
	}
	return digest, err
}

// imageNow answers the digest that the image has in its repository now, empty where it is not there. Of images of other registries
// and regions nothing is known: nothing here could tell. The same is true, save of the stack's own repository, which git's images are in,
// of what is another account's and of what this controller may not look at: ECS pulls a sidecar's image with another role.
func (a *Account) imageNow(ctx context.Context, image string, s observed.Stack, fresh freshness) (digest string, known bool, err error) {
	r, ok := parseImage(image)
	repo, _ := parseImage(s.Outputs[OutputRepository])
	declared := r.is(repo)
	if !ok || r.region != a.opts.Region || r.account != a.opts.Account && !declared {
		return "", false, nil
	}
	if digest, ok := a.images.get(image, fresh.within(a.opts.ImageAge)); ok {
		return digest, true, nil
	}
	digest, err = a.describeImage(ctx, r, r.reference())
	switch code := fault.CodeOf(err); {
	case code == "RepositoryNotFoundException":
		return "", true, nil
	case client.IsDenied(code) && !declared:
		return "", false, nil
	}
	if err == nil && digest != "" {
		a.images.put(image, digest)
	}
	return digest, true, err
}

// describeImage answers the image's digest, empty where the repository has no such image.
func (a *Account) describeImage(ctx context.Context, repo registry, reference string) (string, error) {
	found, err := a.describeImages(ctx, repo, identifier(reference))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// describeImages answers the digests of all these images; none where the repository lacks one of them.
func (a *Account) describeImages(ctx context.Context, repo registry, ids ...ecrtypes.ImageIdentifier) ([]string, error) {
	out, err := a.aws.ECR.DescribeImages(ctx, &ecr.DescribeImagesInput{RegistryId: &repo.account, RepositoryName: &repo.repository, ImageIds: ids})
	var absent *ecrtypes.ImageNotFoundException
	if errors.As(err, &absent) {
		return nil, nil
	}
	if err = deed(err, "look for image %s in repository %s", named(ids), repo.repository); err != nil {
		if fault.Is(err, fault.NotFound) {
			return nil, blocked(err)
		}
		return nil, err
	}
	digests := make([]string, len(ids))
	for i, id := range ids {
		at := slices.IndexFunc(out.ImageDetails, func(d ecrtypes.ImageDetail) bool {
			return aws.ToString(d.ImageDigest) == aws.ToString(id.ImageDigest) || id.ImageTag != nil && slices.Contains(d.ImageTags, *id.ImageTag)
		})
		if at < 0 {
			return nil, nil
		}
		digests[i] = aws.ToString(out.ImageDetails[at].ImageDigest)
	}
	return digests, nil
}

func named(ids []ecrtypes.ImageIdentifier) string {
	var names []string
	for _, id := range ids {
		names = append(names, aws.ToString(id.ImageTag)+aws.ToString(id.ImageDigest))
	}
	return strings.Join(names, ", ")
}
