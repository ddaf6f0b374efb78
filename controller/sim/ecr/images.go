package ecr

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// DescribeImages fails as a whole where one of the images that are named is not there.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
func (e *Engine) DescribeImages(_ context.Context, in *ecr.DescribeImagesInput) (*ecr.DescribeImagesOutput, error) {
	if err := wire.Refuse(in, "RepositoryName", "ImageIds", "MaxResults", "NextToken", "RegistryId"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	if len(in.ImageIds) > maxImageIDs {
		return nil, invalid("Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length less than or equal to %d'", maxImageIDs)
	}
	var out []types.ImageDetail
	for _, id := range in.ImageIds {
		i, code := r.find(id)
		if i == nil {
			return nil, &types.ImageNotFoundException{Message: aws.String(fmt.Sprintf(
				"The image with imageId %s does not exist within the repository with name '%s' in the registry with id '%s' (%s)",
				describe(id), r.name, e.config.Account, code))}
		}
		out = append(out, e.detail(r, i))
	}
	if len(in.ImageIds) > 0 {
		return &ecr.DescribeImagesOutput{ImageDetails: out}, nil
	}
	for _, i := range r.images {
		out = append(out, e.detail(r, i))
	}
	page, next, ok := wire.Page(out, func(d types.ImageDetail) string { return *d.ImageDigest }, in.NextToken, limit(in.MaxResults))
	if !ok {
		return nil, invalid("nextToken is not one that DescribeImages gave")
	}
	return &ecr.DescribeImagesOutput{ImageDetails: page, NextToken: next}, nil
}

// BatchGetImage tells images that are not there as failures.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
func (e *Engine) BatchGetImage(_ context.Context, in *ecr.BatchGetImageInput) (*ecr.BatchGetImageOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	if len(in.ImageIds) == 0 || len(in.ImageIds) > maxImageIDs {
		return nil, invalid("imageIds must have 1 to %d members", maxImageIDs)
	}
	out := &ecr.BatchGetImageOutput{Images: []types.Image{}, Failures: []types.ImageFailure{}}
	for _, id := range in.ImageIds {
		i, code := r.find(id)
		if i == nil {
			out.Failures = append(out.Failures, failure(id, code))
			continue
		}
		out.Images = append(out.Images, types.Image{
			ImageId:       &types.ImageIdentifier{ImageDigest: &i.digest, ImageTag: id.ImageTag},
			ImageManifest: &i.manifest, ImageManifestMediaType: &i.mediaType,
			RegistryId: &e.config.Account, RepositoryName: in.RepositoryName,
		})
	}
	return out, nil
}

// ListImages answers one identifier per tag, and one per untagged image.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImages.html
func (e *Engine) ListImages(_ context.Context, in *ecr.ListImagesInput) (*ecr.ListImagesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	want := types.TagStatusAny
	if in.Filter != nil && in.Filter.TagStatus != "" {
		want = in.Filter.TagStatus
	}
	var ids []types.ImageIdentifier
	for digest := range r.images {
		tags := r.tagsOf(digest)
		if len(tags) == 0 && want != types.TagStatusTagged {
			ids = append(ids, types.ImageIdentifier{ImageDigest: aws.String(digest)})
		}
		for _, t := range tags {
			if want != types.TagStatusUntagged {
				ids = append(ids, types.ImageIdentifier{ImageDigest: aws.String(digest), ImageTag: aws.String(t)})
			}
		}
	}
	key := func(i types.ImageIdentifier) string { return *i.ImageDigest + ":" + aws.ToString(i.ImageTag) }
	page, next, ok := wire.Page(ids, key, in.NextToken, limit(in.MaxResults))
	if !ok {
		return nil, invalid("nextToken is not one that ListImages gave")
	}
	return &ecr.ListImagesOutput{ImageIds: page, NextToken: next}, nil
}

// BatchDeleteImage removes a tag, or with a digest the image and all its tags. The last tag takes the image
// with it. https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
func (e *Engine) BatchDeleteImage(_ context.Context, in *ecr.BatchDeleteImageInput) (*ecr.BatchDeleteImageOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	out := &ecr.BatchDeleteImageOutput{ImageIds: []types.ImageIdentifier{}, Failures: []types.ImageFailure{}}
	for _, id := range in.ImageIds {
		i, code := r.find(id)
		if i == nil {
			out.Failures = append(out.Failures, failure(id, code))
			continue
		}
		if id.ImageTag != nil {
			delete(r.tags, *id.ImageTag)
		}
		if left := r.tagsOf(i.digest); id.ImageDigest != nil || len(left) == 0 {
			for _, t := range left {
				delete(r.tags, t)
			}
			delete(r.images, i.digest)
		}
		out.ImageIds = append(out.ImageIds, types.ImageIdentifier{ImageDigest: &i.digest, ImageTag: id.ImageTag})
	}
	return out, nil
}

// Resolve finds what `repository:tag` or `repository@digest` under this registry's name means now. An error
// is worded as the pull of a Fargate task tells it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
func (e *Engine) Resolve(ref string) (digest string, spec any, err error) {
	name := strings.TrimPrefix(ref, e.Registry()+"/")
	var id types.ImageIdentifier
	if repo, d, ok := strings.Cut(name, "@"); ok {
		name, id.ImageDigest = repo, &d
	} else if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		t := name[colon+1:]
		name, id.ImageTag = name[:colon], &t
	} else {
		id.ImageTag = aws.String("latest")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.repositories[name]
	if r == nil {
		return "", nil, fmt.Errorf("pull image manifest has been retried 1 time(s): failed to resolve ref %s: "+
			"pull access denied, repository does not exist or may require authorization", ref)
	}
	i, _ := r.find(id)
	if i == nil {
		return "", nil, fmt.Errorf("pull image manifest has been retried 7 time(s): failed to resolve ref %s: %s: not found", ref, ref)
	}
	return i.digest, i.spec, nil
}

func (r *repository) find(id types.ImageIdentifier) (*image, types.ImageFailureCode) {
	digest := aws.ToString(id.ImageDigest)
	if id.ImageTag != nil {
		tagged, ok := r.tags[*id.ImageTag]
		if !ok {
			return nil, types.ImageFailureCodeImageNotFound
		}
		if digest != "" && digest != tagged {
			return nil, types.ImageFailureCodeImageTagDoesNotMatchDigest
		}
		digest = tagged
	}
	if digest == "" {
		return nil, types.ImageFailureCodeMissingDigestAndTag
	}
	if i := r.images[digest]; i != nil {
		return i, ""
	}
	return nil, types.ImageFailureCodeImageNotFound
}

func (r *repository) tagsOf(digest string) []string {
	var tags []string
	for _, t := range slices.Sorted(maps.Keys(r.tags)) {
		if r.tags[t] == digest {
			tags = append(tags, t)
		}
	}
	return tags
}

func (e *Engine) detail(r *repository, i *image) types.ImageDetail {
	return types.ImageDetail{
		ImageDigest: &i.digest, ImageTags: r.tagsOf(i.digest), ImagePushedAt: &i.pushed,
		ImageManifestMediaType: &i.mediaType, ImageSizeInBytes: aws.Int64(int64(len(i.manifest))),
		RegistryId: &e.config.Account, RepositoryName: aws.String(r.name),
	}
}

func failure(id types.ImageIdentifier, code types.ImageFailureCode) types.ImageFailure {
	reason := "Requested image not found"
	if code != types.ImageFailureCodeImageNotFound {
		reason = "Requested image " + describe(id) + ": " + string(code)
	}
	return types.ImageFailure{ImageId: &id, FailureCode: code, FailureReason: &reason}
}

func describe(id types.ImageIdentifier) string {
	return fmt.Sprintf("{imageDigest:'%s', imageTag:'%s'}", aws.ToString(id.ImageDigest), aws.ToString(id.ImageTag))
}
