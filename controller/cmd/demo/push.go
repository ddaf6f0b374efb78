package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/process"
)

// push is what a pipeline does after a build: the image goes into the registry under its short SHA, its configuration first, which has
// the label that Dockerfile.worker gives it.
func push(ctx context.Context, cfg aws.Config, v *version) error {
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}},
		"config": map[string]any{"Labels": map[string]string{
			"org.opencontainers.image.title": service, "org.opencontainers.image.revision": v.tag,
		}},
	})
	if err != nil {
		return err
	}
	client := ecr.NewFromConfig(cfg)
	layer, err := upload(ctx, client, config)
	if err != nil {
		return fmt.Errorf("push the configuration of image %s: %w", v.tag, err)
	}
	spec, err := json.Marshal(process.Spec{Files: map[string]string{"/worker": v.binary}, Cmd: []string{"/worker", "serve"}})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []string{},
		"config":      map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": layer, "size": len(config)},
		"annotations": map[string]string{sim.ProcessAnnotation: string(spec)},
	})
	if err != nil {
		return err
	}
	if _, err = client.PutImage(ctx, &ecr.PutImageInput{RepositoryName: aws.String(repository), ImageTag: &v.tag, ImageManifest: aws.String(string(manifest))}); err != nil {
		return fmt.Errorf("push image %s: %w", v.tag, err)
	}
	return nil
}

// upload puts a layer into the repository, where it is not there yet, and answers its digest.
func upload(ctx context.Context, client *ecr.Client, layer []byte) (digest string, err error) {
	digest = fmt.Sprintf("sha256:%x", sha256.Sum256(layer))
	begun, err := client.InitiateLayerUpload(ctx, &ecr.InitiateLayerUploadInput{RepositoryName: aws.String(repository)})
	if err != nil {
		return "", err
	}
	if _, err = client.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{
		RepositoryName: aws.String(repository), UploadId: begun.UploadId, LayerPartBlob: layer, PartFirstByte: aws.Int64(0), PartLastByte: aws.Int64(int64(len(layer) - 1)),
	}); err != nil {
		return "", err
	}
	_, err = client.CompleteLayerUpload(ctx, &ecr.CompleteLayerUploadInput{RepositoryName: aws.String(repository), UploadId: begun.UploadId, LayerDigests: []string{digest}})
	var there *ecrtypes.LayerAlreadyExistsException
	if errors.As(err, &there) {
		return digest, nil
	}
	return digest, err
}
