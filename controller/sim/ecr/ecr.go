// Package ecr is the container registry of the local account: repositories, tags and digests. What an image
// is made of is one opaque value, which only those who run it look into.
package ecr

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Config says whose registry it is.
type Config struct {
	Account, Region string
	// Spec reads how an image runs out of the manifest that PutImage was given. Its error refuses the image.
	Spec func(manifest string) (any, error)
}

// Engine holds the repositories of one account and region.
type Engine struct {
	config Config

	mu           sync.Mutex
	repositories map[string]*repository
	uploads      int // how many were begun
}

type repository struct {
	name       string
	created    time.Time
	mutability types.ImageTagMutability
	images     map[string]*image // by digest
	tags       map[string]string // tag → digest
	policy     string            // lifecycle policy, in JSON
	layers     map[string][]byte // by digest
	uploads    map[string]*upload
}

type image struct {
	digest, manifest, mediaType string
	pushed                      time.Time
	spec                        any
	layers                      []string // that its manifest refers to
}

// Limits of https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
const (
	maxImageIDs = 100
	pageSize    = 100
	maxPage     = 1000
)

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

// New makes an empty registry.
func New(c Config) *Engine { return &Engine{config: c, repositories: map[string]*repository{}} }

// Registry is the host that images of this registry are named under.
func (e *Engine) Registry() string {
	return e.config.Account + ".dkr.ecr." + e.config.Region + ".amazonaws.com"
}

// CreateRepository makes an empty repository, with MUTABLE tags unless told otherwise.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
func (e *Engine) CreateRepository(_ context.Context, in *ecr.CreateRepositoryInput) (*ecr.CreateRepositoryOutput, error) {
	if err := wire.Refuse(in, "RepositoryName", "ImageTagMutability", "RegistryId", "ImageScanningConfiguration"); err != nil {
		return nil, err
	}
	mutability := in.ImageTagMutability
	if mutability == "" {
		mutability = types.ImageTagMutabilityMutable
	}
	if mutability != types.ImageTagMutabilityMutable && mutability != types.ImageTagMutabilityImmutable {
		return nil, invalid("imageTagMutability must be MUTABLE or IMMUTABLE in this account, found %s", mutability)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	name := aws.ToString(in.RepositoryName)
	if e.repositories[name] != nil {
		return nil, &types.RepositoryAlreadyExistsException{Message: aws.String(fmt.Sprintf(
			"The repository with name '%s' already exists in the registry with id '%s'", name, e.config.Account))}
	}
	r := &repository{name: name, created: time.Now(), mutability: mutability, images: map[string]*image{}, tags: map[string]string{},
		layers: map[string][]byte{}, uploads: map[string]*upload{}}
	e.repositories[name] = r
	shown := e.show(r)
	return &ecr.CreateRepositoryOutput{Repository: &shown}, nil
}

// DescribeRepositories answers those that are named, or all.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeRepositories.html
func (e *Engine) DescribeRepositories(_ context.Context, in *ecr.DescribeRepositoriesInput) (*ecr.DescribeRepositoriesOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.Repository
	for _, r := range e.repositories {
		if len(in.RepositoryNames) == 0 || slices.Contains(in.RepositoryNames, r.name) {
			out = append(out, e.show(r))
		}
	}
	for _, n := range in.RepositoryNames {
		if _, err := e.repository(&n); err != nil {
			return nil, err
		}
	}
	page, next, ok := wire.Page(out, func(r types.Repository) string { return *r.RepositoryName }, in.NextToken, limit(in.MaxResults))
	if !ok {
		return nil, invalid("nextToken is not one that DescribeRepositories gave")
	}
	return &ecr.DescribeRepositoriesOutput{Repositories: page, NextToken: next}, nil
}

// PutImage stores a manifest under its digest and, if given, a tag. What it refers to must be in the repository. In an IMMUTABLE
// repository a tag never moves. https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
func (e *Engine) PutImage(_ context.Context, in *ecr.PutImageInput) (*ecr.PutImageOutput, error) {
	manifest := aws.ToString(in.ImageManifest)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifest)))
	if in.ImageDigest != nil && *in.ImageDigest != digest {
		return nil, &types.ImageDigestDoesNotMatchException{Message: aws.String("Image digest does not match, its SHA-256 is " + digest)}
	}
	var spec any
	if e.config.Spec != nil {
		var err error
		if spec, err = e.config.Spec(manifest); err != nil {
			return nil, invalid("Invalid parameter at 'ImageManifest': %v", err)
		}
	}
	mediaType := aws.ToString(in.ImageManifestMediaType)
	if mediaType == "" {
		mediaType = mediaTypeOf(manifest)
	}
	i := &image{digest: digest, manifest: manifest, mediaType: mediaType, spec: spec, pushed: time.Now()}
	var parts []string
	i.layers, parts = references(manifest)
	if err := e.has(aws.ToString(in.RepositoryName), i.layers, parts); err != nil {
		return nil, err
	}
	if err := e.put(aws.ToString(in.RepositoryName), aws.ToString(in.ImageTag), i); err != nil {
		return nil, err
	}
	return &ecr.PutImageOutput{Image: &types.Image{
		ImageId:       &types.ImageIdentifier{ImageDigest: &i.digest, ImageTag: in.ImageTag},
		ImageManifest: &i.manifest, ImageManifestMediaType: &i.mediaType,
		RegistryId: &e.config.Account, RepositoryName: in.RepositoryName,
	}}, nil
}

// Put stores an image that has no manifest of its own: spec is what runs. It follows PutImage's rules.
func (e *Engine) Put(repository, tag, digest string, spec any) error {
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"annotations":{"digest":%q}}`, ociManifest, digest)
	return e.put(repository, tag, &image{digest: digest, manifest: manifest, mediaType: ociManifest, spec: spec, pushed: time.Now()})
}

// mediaTypeOf is what a manifest says that it is.
func mediaTypeOf(manifest string) string {
	var m struct {
		MediaType string `json:"mediaType"`
	}
	if json.Unmarshal([]byte(manifest), &m) != nil || m.MediaType == "" {
		return ociManifest
	}
	return m.MediaType
}

func (e *Engine) has(name string, layers, images []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(&name)
	if err != nil {
		return err
	}
	return r.complete(layers, images)
}

func (e *Engine) put(name, tag string, i *image) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(&name)
	if err != nil {
		return err
	}
	old, known := r.images[i.digest]
	switch held := r.tags[tag]; {
	case known && (tag == "" || held == i.digest):
		return &types.ImageAlreadyExistsException{Message: aws.String(fmt.Sprintf(
			"Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", i.digest, tag, name, e.config.Account))}
	case tag != "" && held != "" && r.mutability == types.ImageTagMutabilityImmutable:
		return &types.ImageTagAlreadyExistsException{Message: aws.String(fmt.Sprintf(
			"The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", tag, name))}
	}
	if known {
		i = old
	}
	r.images[i.digest] = i
	if tag != "" {
		r.tags[tag] = i.digest
	}
	return nil
}

func (e *Engine) repository(name *string) (*repository, error) {
	r := e.repositories[aws.ToString(name)]
	if r == nil {
		return nil, &types.RepositoryNotFoundException{Message: aws.String(fmt.Sprintf(
			"The repository with name '%s' does not exist in the registry with id '%s'", aws.ToString(name), e.config.Account))}
	}
	return r, nil
}

func (e *Engine) show(r *repository) types.Repository {
	return types.Repository{
		RepositoryName: aws.String(r.name), RegistryId: &e.config.Account, CreatedAt: &r.created,
		RepositoryArn:      aws.String(fmt.Sprintf("arn:aws:ecr:%s:%s:repository/%s", e.config.Region, e.config.Account, r.name)),
		RepositoryUri:      aws.String(e.Registry() + "/" + r.name),
		ImageTagMutability: r.mutability,
	}
}

func limit(asked *int32) int {
	if asked == nil || *asked < 1 {
		return pageSize
	}
	return min(int(*asked), maxPage)
}

func invalid(format string, args ...any) error {
	return &types.InvalidParameterException{Message: aws.String(fmt.Sprintf(format, args...))}
}
