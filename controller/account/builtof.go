package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
)

// revisionLabel is the commit that an image was built of: a label of its configuration, or an annotation of its manifest or index.
// https://github.com/opencontainers/image-spec/blob/main/annotations.md
const revisionLabel = "org.opencontainers.image.revision"

// What is read at most. ECR takes no manifest of more than 4 MiB (PutImage), and a configuration, which has the image's
// environment, labels and a line for each layer, is a fraction of that: what is longer is none that somebody built.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
const (
	manifestMax = 4 << 20
	configMax   = 4 << 20
)

// The kinds of manifests and configurations.
// https://github.com/opencontainers/image-spec/blob/main/media-types.md, https://distribution.github.io/distribution/spec/manifest-v2-2/
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// commitForm is a commit's hash, whole or its first digits. Whatever else a label says, it names no commit.
var commitForm = regexp.MustCompile(`^[0-9a-fA-F]{7,64}$`)

// descriptor is how one part of an image refers to another.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// manifest is an image's, or an index of those of several platforms.
type manifest struct {
	digest      string
	Annotations map[string]string `json:"annotations"`
	Config      descriptor        `json:"config"`
	Manifests   []descriptor      `json:"manifests"`
}

// BuiltOf answers the commit that an image was built of, in lower-case hexadecimal digits, by its label
// org.opencontainers.image.revision. It is empty where the image says none, and of images of other registries and regions, of which
// nothing here could tell. An image by digest is asked about once; then the answer is kept. Errors carry a fault kind: NotFound where
// there is no such image, Blocked where it may not be read, Terminal where what is there is no image that can be read; the code
// digest_mismatch says that what came is not what was asked for.
func (a *Account) BuiltOf(ctx context.Context, image string) (string, error) {
	r, ok := parseImage(image)
	if !ok || r.region != a.opts.Region {
		return "", nil
	}
	id := ecrtypes.ImageIdentifier{ImageTag: aws.String("latest")}
	switch {
	case r.digest != "":
		if commit, ok := a.built.get(r.digest, forever); ok {
			return commit, nil
		}
		id = ecrtypes.ImageIdentifier{ImageDigest: &r.digest}
	case r.tag != "":
		id = ecrtypes.ImageIdentifier{ImageTag: &r.tag}
	}
	m, err := a.manifest(ctx, r, id)
	if err != nil {
		return "", err
	}
	if commit, ok := a.built.get(m.digest, forever); ok {
		return commit, nil
	}
	commit, err := a.builtOf(ctx, r, m)
	if err == nil && m.digest != "" {
		a.built.put(m.digest, commit)
	}
	return commit, err
}

// builtOf looks where the label may be, the cheapest first. The platforms of an index are of one build, so one of them tells of all.
func (a *Account) builtOf(ctx context.Context, r registry, m manifest) (string, error) {
	if commit := commitOf(m.Annotations); commit != "" {
		return commit, nil
	}
	if of := platform(m.Manifests); of != "" {
		var err error
		if m, err = a.manifest(ctx, r, ecrtypes.ImageIdentifier{ImageDigest: &of}); err != nil {
			return "", err
		}
		if commit := commitOf(m.Annotations); commit != "" {
			return commit, nil
		}
	}
	if m.Config.MediaType != ociConfig && m.Config.MediaType != dockerConfig {
		return "", nil // an artifact, or an index in an index: no image
	}
	return a.labelOf(ctx, r, m.Config)
}

func commitOf(labels map[string]string) string {
	if text := strings.TrimSpace(labels[revisionLabel]); commitForm.MatchString(text) {
		return strings.ToLower(text)
	}
	return ""
}

// platform is the digest of an index's image for linux/amd64, else of its first one that is an image: attestations of a build stand
// beside them, for no platform.
// https://docs.docker.com/build/metadata/attestations/attestation-storage/
func platform(manifests []descriptor) string {
	first := ""
	for _, d := range manifests {
		if d.Platform.OS == "unknown" || d.Annotations["vnd.docker.reference.type"] != "" {
			continue
		}
		if d.Platform.OS == "linux" && d.Platform.Architecture == "amd64" {
			return d.Digest
		}
		if first == "" {
			first = d.Digest
		}
	}
	return first
}

// manifest reads an image's manifest or index (ECR BatchGetImage).
func (a *Account) manifest(ctx context.Context, r registry, id ecrtypes.ImageIdentifier) (manifest, error) {
	what := fmt.Sprintf("read the manifest of image %s%s in repository %s", aws.ToString(id.ImageTag), aws.ToString(id.ImageDigest), r.repository)
	out, err := a.aws.ECR.BatchGetImage(ctx, &ecr.BatchGetImageInput{
		RegistryId: &r.account, RepositoryName: &r.repository, ImageIds: []ecrtypes.ImageIdentifier{id},
		AcceptedMediaTypes: []string{ociManifest, ociIndex, dockerManifest, dockerList},
	})
	if err != nil {
		return manifest{}, deed(err, "%s", what)
	}
	if len(out.Failures) > 0 {
		f := out.Failures[0]
		return manifest{}, fault.New(failureKind(f.FailureCode), string(f.FailureCode), fmt.Errorf("%s: %s", what, aws.ToString(f.FailureReason)))
	}
	if len(out.Images) == 0 || out.Images[0].ImageId == nil {
		return manifest{}, fault.New(fault.NotFound, "ImageNotFound", fmt.Errorf("%s: ECR answered none", what))
	}
	text := aws.ToString(out.Images[0].ImageManifest)
	if len(text) > manifestMax {
		return manifest{}, fault.New(fault.Terminal, "manifest_too_large", fmt.Errorf("%s: it has %d bytes, more than %d", what, len(text), manifestMax))
	}
	m := manifest{}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return manifest{}, fault.New(fault.Terminal, "manifest_unreadable", fmt.Errorf("%s: %w", what, err))
	}
	m.digest = aws.ToString(out.Images[0].ImageId.ImageDigest)
	return m, nil
}

// failureKind is the table of what ECR says of one image in an answer about many.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageFailure.html
func failureKind(code ecrtypes.ImageFailureCode) fault.Kind {
	switch code {
	case ecrtypes.ImageFailureCodeImageNotFound:
		return fault.NotFound
	case ecrtypes.ImageFailureCodeKmsError, ecrtypes.ImageFailureCodeImageInaccessible, ecrtypes.ImageFailureCodeUpstreamAccessDenied:
		return fault.Blocked
	case ecrtypes.ImageFailureCodeUpstreamTooManyRequests:
		return fault.Throttled
	case ecrtypes.ImageFailureCodeInvalidImageDigest, ecrtypes.ImageFailureCodeInvalidImageTag,
		ecrtypes.ImageFailureCodeImageTagDoesNotMatchDigest, ecrtypes.ImageFailureCodeMissingDigestAndTag:
		return fault.Terminal
	}
	return fault.Unknown
}

// labelOf reads the label out of an image's configuration: a layer to ECR, which lies in S3. What came must be what the manifest
// names, since it came from elsewhere than the manifest.
func (a *Account) labelOf(ctx context.Context, r registry, config descriptor) (string, error) {
	what := fmt.Sprintf("read the configuration %s of an image in repository %s", config.Digest, r.repository)
	if config.Size > configMax {
		return "", fault.New(fault.Terminal, "config_too_large", fmt.Errorf("%s: it has %d bytes, more than %d", what, config.Size, configMax))
	}
	at, err := a.aws.ECR.GetDownloadUrlForLayer(ctx, &ecr.GetDownloadUrlForLayerInput{RegistryId: &r.account, RepositoryName: &r.repository, LayerDigest: &config.Digest})
	if err != nil {
		return "", deed(err, "%s", what)
	}
	body, err := a.aws.Downloads.Get(ctx, aws.ToString(at.DownloadUrl), configMax)
	var long *client.TooLargeError
	if errors.As(err, &long) {
		return "", fault.New(fault.Terminal, "config_too_large", fmt.Errorf("%s: %w", what, err))
	}
	if err != nil {
		return "", deed(err, "%s", what)
	}
	sum := sha256.Sum256(body)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != config.Digest {
		return "", fault.New(fault.Unknown, "digest_mismatch", fmt.Errorf("%s: what came is %s", what, got))
	}
	var image struct {
		Config struct{ Labels map[string]string } `json:"config"`
	}
	if err := json.Unmarshal(body, &image); err != nil {
		return "", fault.New(fault.Terminal, "config_unreadable", fmt.Errorf("%s: %w", what, err))
	}
	return commitOf(image.Config.Labels), nil
}
