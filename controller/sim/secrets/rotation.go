package secrets

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// move gives a stage to a version. What was current becomes the previous one.
func (s *secret) move(stage, id string) {
	if old, ok := s.stages[stage]; stage == current && ok && old != id {
		s.stages[previous] = old
	}
	s.stages[stage] = id
}

// UpdateSecretVersionStage moves a stage from one version to another, or takes it away.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (e *Engine) UpdateSecretVersionStage(_ context.Context, in *secretsmanager.UpdateSecretVersionStageInput) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.usable(in.SecretId)
	if err != nil {
		return nil, err
	}
	stage, to, from := aws.ToString(in.VersionStage), aws.ToString(in.MoveToVersionId), aws.ToString(in.RemoveFromVersionId)
	if _, ok := s.versions[to]; to != "" && !ok {
		return nil, notFound("Secrets Manager can't find the specified secret version: " + to)
	}
	if held := s.stages[stage]; held != "" && held != from {
		return nil, &types.InvalidParameterException{Message: aws.String("The parameter RemoveFromVersionId can't be empty. Staging label " + stage +
			" is currently attached to version " + held + ", so you must explicitly reference that version in RemoveFromVersionId.")}
	}
	if to == "" && stage == current {
		return nil, &types.InvalidParameterException{Message: aws.String("You can't remove AWSCURRENT from a version without moving it to another.")}
	}
	if to == "" {
		delete(s.stages, stage)
	} else {
		s.move(stage, to)
	}
	s.changed = time.Now()
	return &secretsmanager.UpdateSecretVersionStageOutput{ARN: &s.arn, Name: &s.name}, nil
}

// ListSecretVersionIds lists a secret's versions, those without a stage only where IncludeDeprecated is set.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html
func (e *Engine) ListSecretVersionIds(_ context.Context, in *secretsmanager.ListSecretVersionIdsInput) (*secretsmanager.ListSecretVersionIdsOutput, error) {
	if err := wire.Refuse(in, "SecretId", "IncludeDeprecated"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.byID(aws.ToString(in.SecretId))
	if s == nil {
		return nil, notFound("Secrets Manager can't find the specified secret.")
	}
	out := &secretsmanager.ListSecretVersionIdsOutput{ARN: &s.arn, Name: &s.name, Versions: []types.SecretVersionsListEntry{}}
	for _, id := range slices.Sorted(maps.Keys(s.versions)) {
		labels := s.labels(id)
		if len(labels) > 0 || aws.ToBool(in.IncludeDeprecated) {
			out.Versions = append(out.Versions, types.SecretVersionsListEntry{VersionId: &id, VersionStages: labels})
		}
	}
	return out, nil
}

// Rotate does what a rotation function does, in its two steps: the new value is AWSPENDING until finish is
// called, which makes it AWSCURRENT and the old one AWSPREVIOUS. Tasks keep the value that they started with.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets.html
func (e *Engine) Rotate(secretID, value string) (finish func() error, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.usable(&secretID)
	if err != nil {
		return nil, err
	}
	id := s.put(value, nil, pending)
	return func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		s, err := e.usable(&secretID)
		if err != nil {
			return err
		}
		delete(s.stages, pending)
		s.move(current, id)
		s.changed = time.Now()
		return nil
	}, nil
}
