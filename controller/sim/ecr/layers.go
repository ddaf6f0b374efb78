package ecr

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Layers are whatever a manifest refers to by digest: the configuration of an image, too, is one to ECR. They belong to a repository.

// Limits of a layer's parts. https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
const (
	minPart = 5 << 20 // but of the last one
	maxPart = 10 << 20
	// maxLayers is how much of all layers a repository of this account holds: this machine's memory, not AWS's rule.
	maxLayers = 64 << 20
)

// upload is a layer that is on its way.
type upload struct {
	body  []byte
	small bool // a part below minPart has come: it must be the last one
}

// InitiateLayerUpload begins an upload.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_InitiateLayerUpload.html
func (e *Engine) InitiateLayerUpload(_ context.Context, in *ecr.InitiateLayerUploadInput) (*ecr.InitiateLayerUploadOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	e.uploads++
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", e.uploads)
	r.uploads[id] = &upload{}
	return &ecr.InitiateLayerUploadOutput{UploadId: &id, PartSize: aws.Int64(maxPart)}, nil
}

// UploadLayerPart takes the next part: parts come in order, without gaps.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UploadLayerPart.html
func (e *Engine) UploadLayerPart(_ context.Context, in *ecr.UploadLayerPartInput) (*ecr.UploadLayerPartOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, u, err := e.upload(in.RepositoryName, in.UploadId)
	if err != nil {
		return nil, err
	}
	have, first, last := int64(len(u.body)), aws.ToInt64(in.PartFirstByte), aws.ToInt64(in.PartLastByte)
	if first != have || last-first+1 != int64(len(in.LayerPartBlob)) || u.small || len(in.LayerPartBlob) > maxPart {
		return nil, &types.InvalidLayerPartException{
			Message: aws.String("the part does not follow the last one, or is not of the size that it says"), RegistryId: &e.config.Account,
			RepositoryName: &r.name, UploadId: in.UploadId, LastValidByteReceived: aws.Int64(have - 1),
		}
	}
	if r.stored()+have+int64(len(in.LayerPartBlob)) > maxLayers {
		return nil, &types.LimitExceededException{Message: aws.String(fmt.Sprintf("a repository of this account holds %d bytes of layers", maxLayers))}
	}
	u.body, u.small = append(u.body, in.LayerPartBlob...), len(in.LayerPartBlob) < minPart
	return &ecr.UploadLayerPartOutput{RegistryId: &e.config.Account, RepositoryName: &r.name, UploadId: in.UploadId, LastByteReceived: aws.Int64(last)}, nil
}

// CompleteLayerUpload stores what was uploaded under its digest, which must be the one that is told.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
func (e *Engine) CompleteLayerUpload(_ context.Context, in *ecr.CompleteLayerUploadInput) (*ecr.CompleteLayerUploadOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, u, err := e.upload(in.RepositoryName, in.UploadId)
	if err != nil {
		return nil, err
	}
	digest := digestOf(u.body)
	switch {
	case len(u.body) == 0:
		return nil, &types.EmptyUploadException{Message: aws.String("The specified layer upload does not contain any layer parts.")}
	case !slices.Contains(in.LayerDigests, digest):
		return nil, &types.InvalidLayerException{Message: aws.String(fmt.Sprintf("The layer's digest is %s, not %s", digest, strings.Join(in.LayerDigests, ", ")))}
	case r.layers[digest] != nil:
		return nil, &types.LayerAlreadyExistsException{Message: aws.String(fmt.Sprintf("The image layer '%s' already exists in the repository with name '%s'", digest, r.name))}
	}
	r.layers[digest] = u.body
	delete(r.uploads, *in.UploadId)
	return &ecr.CompleteLayerUploadOutput{LayerDigest: &digest, RegistryId: &e.config.Account, RepositoryName: &r.name, UploadId: in.UploadId}, nil
}

// GetDownloadUrlForLayer answers where a layer can be fetched for an hour, without credentials. An image must refer to it.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html
func (e *Engine) GetDownloadUrlForLayer(ctx context.Context, in *ecr.GetDownloadUrlForLayerInput) (*ecr.GetDownloadUrlForLayerOutput, error) {
	if err := wire.Refuse(in, "LayerDigest", "RepositoryName", "RegistryId"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	digest := aws.ToString(in.LayerDigest)
	if !strings.HasPrefix(digest, "sha256:") || len(digest) != len("sha256:")+2*sha256.Size {
		return nil, invalid("Invalid parameter at 'layerDigest' failed to satisfy constraint: 'must satisfy regular expression [a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")
	}
	if r.layers[digest] == nil {
		return nil, &types.LayersNotFoundException{Message: aws.String(fmt.Sprintf("Layers with digests '[%s]' were not found in the repository with name '%s'", digest, r.name))}
	}
	if !r.refersTo(digest) {
		return nil, &types.LayerInaccessibleException{Message: aws.String(fmt.Sprintf("The layer '%s' is not associated with an image in the repository with name '%s'", digest, r.name))}
	}
	url := e.presign(wire.Endpoint(ctx), r.name, digest)
	return &ecr.GetDownloadUrlForLayerOutput{DownloadUrl: &url, LayerDigest: &digest}, nil
}

func (e *Engine) upload(name, id *string) (*repository, *upload, error) {
	r, err := e.repository(name)
	if err != nil {
		return nil, nil, err
	}
	u := r.uploads[aws.ToString(id)]
	if u == nil {
		return nil, nil, &types.UploadNotFoundException{Message: aws.String(fmt.Sprintf("The layer upload with id '%s' does not exist in the repository with name '%s'", aws.ToString(id), r.name))}
	}
	return r, u, nil
}

func (r *repository) stored() int64 {
	var n int64
	for _, body := range r.layers {
		n += int64(len(body))
	}
	return n
}

// refersTo reports whether an image of the repository has the layer.
func (r *repository) refersTo(layer string) bool {
	for _, i := range r.images {
		if slices.Contains(i.layers, layer) {
			return true
		}
	}
	return false
}

// references are what a manifest refers to: layers, its configuration first; or of an index, images.
func references(manifest string) (layers, images []string) {
	type descriptor struct {
		Digest string `json:"digest"`
	}
	var m struct {
		Config            descriptor
		Layers, Manifests []descriptor
	}
	if json.Unmarshal([]byte(manifest), &m) != nil {
		return nil, nil
	}
	for _, d := range append([]descriptor{m.Config}, m.Layers...) {
		if d.Digest != "" {
			layers = append(layers, d.Digest)
		}
	}
	for _, d := range m.Manifests {
		images = append(images, d.Digest)
	}
	return layers, images
}

// complete refuses an image that refers to what the repository does not have.
func (r *repository) complete(layers, images []string) error {
	for _, d := range layers {
		if r.layers[d] == nil {
			return &types.LayersNotFoundException{Message: aws.String(fmt.Sprintf("Layers with digests '[%s]' required for pushing image into repository with name '%s' could not be found", d, r.name))}
		}
	}
	for _, d := range images {
		if r.images[d] == nil {
			return &types.ReferencedImagesNotFoundException{Message: aws.String(fmt.Sprintf("Images with digests '[%s]' required for pushing image into repository with name '%s' could not be found", d, r.name))}
		}
	}
	return nil
}

func digestOf(body []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(body)) }
