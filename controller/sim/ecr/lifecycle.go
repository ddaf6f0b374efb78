package ecr

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// policy is a lifecycle policy.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
type policy struct {
	Rules []policyRule `json:"rules"`
}

type policyRule struct {
	Priority  int       `json:"rulePriority"`
	Text      string    `json:"description"`
	Selection selection `json:"selection"`
	Action    struct {
		Type string `json:"type"`
	} `json:"action"`
}

type selection struct {
	TagStatus   string   `json:"tagStatus"`
	Prefixes    []string `json:"tagPrefixList"`
	CountType   string   `json:"countType"`
	CountUnit   string   `json:"countUnit"`
	CountNumber int      `json:"countNumber"`
}

func parsePolicy(text string) (policy, error) {
	var p policy
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, invalid("Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: %v'", err)
	}
	seen := map[int]bool{}
	for _, r := range p.Rules {
		s := r.Selection
		problem := ""
		switch {
		case r.Priority < 1 || seen[r.Priority]:
			problem = "rulePriority must be a number from 1 on, given once"
		case r.Action.Type != "expire":
			problem = "action.type must be expire"
		case s.TagStatus != "tagged" && s.TagStatus != "untagged" && s.TagStatus != "any":
			problem = "tagStatus must be tagged, untagged or any"
		case (s.TagStatus == "tagged") != (len(s.Prefixes) > 0):
			problem = "tagPrefixList must be given for tagged and only then (tagPatternList is not modelled by this account)"
		case s.CountNumber < 1:
			problem = "countNumber must be above 0"
		case s.CountType != "imageCountMoreThan" && (s.CountType != "sinceImagePushed" || s.CountUnit != "days"):
			problem = "countType must be imageCountMoreThan, or sinceImagePushed with countUnit days"
		}
		if problem != "" {
			return p, invalid("Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: rule %d: %s'", r.Priority, problem)
		}
		seen[r.Priority] = true
	}
	if len(p.Rules) == 0 {
		return p, invalid("Invalid parameter at 'LifecyclePolicyText': a policy needs a rule")
	}
	return p, nil
}

// PutLifecyclePolicy keeps a policy; ExpireNow carries it out. AWS does so within a day.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutLifecyclePolicy.html
func (e *Engine) PutLifecyclePolicy(_ context.Context, in *ecr.PutLifecyclePolicyInput) (*ecr.PutLifecyclePolicyOutput, error) {
	if _, err := parsePolicy(aws.ToString(in.LifecyclePolicyText)); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	r.policy = *in.LifecyclePolicyText
	return &ecr.PutLifecyclePolicyOutput{LifecyclePolicyText: in.LifecyclePolicyText, RegistryId: &e.config.Account, RepositoryName: in.RepositoryName}, nil
}

// GetLifecyclePolicy answers a repository's policy.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetLifecyclePolicy.html
func (e *Engine) GetLifecyclePolicy(_ context.Context, in *ecr.GetLifecyclePolicyInput) (*ecr.GetLifecyclePolicyOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	if r.policy == "" {
		return nil, &types.LifecyclePolicyNotFoundException{Message: aws.String(fmt.Sprintf(
			"Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", r.name, e.config.Account))}
	}
	return &ecr.GetLifecyclePolicyOutput{LifecyclePolicyText: aws.String(r.policy), RegistryId: &e.config.Account, RepositoryName: in.RepositoryName}, nil
}

// ExpireNow carries a repository's lifecycle policy out and answers the digests that are gone. Whether a task
// runs an image is not asked, neither here nor by AWS.
func (e *Engine) ExpireNow(repositoryName string) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(&repositoryName)
	if err != nil {
		return nil, err
	}
	if r.policy == "" {
		return nil, nil
	}
	p, err := parsePolicy(r.policy)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(p.Rules, func(a, b policyRule) int { return cmp.Compare(a.Priority, b.Priority) })
	// The newest first; an image that one rule selected is left alone by those after it.
	left := slices.SortedFunc(maps.Values(r.images), func(a, b *image) int {
		return cmp.Or(b.pushed.Compare(a.pushed), cmp.Compare(a.digest, b.digest))
	})
	var gone []string
	for _, rule := range p.Rules {
		var rest []*image
		kept := 0
		for _, i := range left {
			if !rule.Selection.selects(r.tagsOf(i.digest)) {
				rest = append(rest, i)
				continue
			}
			kept++
			if rule.Selection.expires(kept, time.Since(i.pushed)) {
				gone = append(gone, i.digest)
			}
		}
		left = rest
	}
	for _, digest := range gone {
		for _, t := range r.tagsOf(digest) {
			delete(r.tags, t)
		}
		delete(r.images, digest)
	}
	slices.Sort(gone)
	return gone, nil
}

func (s selection) selects(tags []string) bool {
	switch s.TagStatus {
	case "untagged":
		return len(tags) == 0
	case "tagged":
		// Every prefix must be met, by any tag.
		return !slices.ContainsFunc(s.Prefixes, func(p string) bool {
			return !slices.ContainsFunc(tags, func(t string) bool { return strings.HasPrefix(t, p) })
		})
	}
	return true
}

func (s selection) expires(nth int, age time.Duration) bool {
	if s.CountType == "imageCountMoreThan" {
		return nth > s.CountNumber
	}
	return age > time.Duration(s.CountNumber)*24*time.Hour
}

// PutImageTagMutability lets tags move, or no longer.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html
func (e *Engine) PutImageTagMutability(_ context.Context, in *ecr.PutImageTagMutabilityInput) (*ecr.PutImageTagMutabilityOutput, error) {
	if in.ImageTagMutability != types.ImageTagMutabilityMutable && in.ImageTagMutability != types.ImageTagMutabilityImmutable {
		return nil, invalid("imageTagMutability must be MUTABLE or IMMUTABLE in this account, found %s", in.ImageTagMutability)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.repository(in.RepositoryName)
	if err != nil {
		return nil, err
	}
	r.mutability = in.ImageTagMutability
	return &ecr.PutImageTagMutabilityOutput{ImageTagMutability: r.mutability, RegistryId: &e.config.Account, RepositoryName: in.RepositoryName}, nil
}

// PutLabelled stores an image as Put does, with labels: they are in its configuration, as a Dockerfile's LABEL puts them.
// https://github.com/opencontainers/image-spec/blob/main/config.md
func (e *Engine) PutLabelled(repository, tag, digest string, labels map[string]string, spec any) error {
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": labels}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}},
	})
	if err != nil {
		return fmt.Errorf("labels of %s: %w", digest, err)
	}
	layer := digestOf(config)
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "annotations": map[string]string{"digest": digest}, "layers": []string{},
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": layer, "size": len(config)},
	})
	if err != nil {
		return fmt.Errorf("labels of %s: %w", digest, err)
	}
	i := &image{digest: digest, manifest: string(manifest), mediaType: ociManifest, spec: spec, pushed: time.Now(), layers: []string{layer}}
	if err := e.put(repository, tag, i); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.repositories[repository].layers[layer] = config
	return nil
}
