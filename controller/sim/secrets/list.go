package secrets

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

const mostListed = 100

// ListSecrets lists secrets by name, filtered by the beginnings of their names; those that wait for their deletion only
// where IncludePlannedDeletion asks for them.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
func (e *Engine) ListSecrets(_ context.Context, in *secretsmanager.ListSecretsInput) (*secretsmanager.ListSecretsOutput, error) {
	if err := wire.Refuse(in, "Filters", "IncludePlannedDeletion", "MaxResults", "NextToken"); err != nil {
		return nil, err
	}
	size := mostListed
	if in.MaxResults != nil {
		size = int(*in.MaxResults)
	}
	if size < 1 || size > mostListed {
		return nil, &types.InvalidParameterException{Message: aws.String("MaxResults must be between 1 and 100.")}
	}
	for _, f := range in.Filters {
		if f.Key != types.FilterNameStringTypeName {
			return nil, &types.InvalidParameterException{Message: aws.String("Filter " + string(f.Key) + " is not modelled by this account.")}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var entries []types.SecretListEntry
	for _, name := range slices.Collect(maps.Keys(e.secrets)) {
		s := e.byID(name)
		if s == nil || !matches(in.Filters, s.name) || (s.deleted != nil && !aws.ToBool(in.IncludePlannedDeletion)) {
			continue
		}
		entries = append(entries, s.entry())
	}
	page, next, ok := wire.Page(entries, func(v types.SecretListEntry) string { return *v.Name }, in.NextToken, size)
	if !ok {
		return nil, &types.InvalidNextTokenException{Message: aws.String("Invalid token.")}
	}
	return &secretsmanager.ListSecretsOutput{SecretList: append([]types.SecretListEntry{}, page...), NextToken: next}, nil
}

func (s *secret) entry() types.SecretListEntry {
	out := types.SecretListEntry{
		ARN: &s.arn, Name: &s.name, CreatedDate: &s.created, LastChangedDate: aws.Time(s.changed), DeletedDate: s.deleted, Tags: s.tags,
		SecretVersionsToStages: map[string][]string{},
	}
	if s.description != "" {
		out.Description = &s.description
	}
	for id := range s.versions {
		if labels := s.labels(id); len(labels) > 0 {
			out.SecretVersionsToStages[id] = labels
		}
	}
	return out
}

// matches: every filter must hold, by any of its values; a value that begins with ! excludes.
func matches(filters []types.Filter, name string) bool {
	for _, f := range filters {
		if !slices.ContainsFunc(f.Values, func(v string) bool {
			rest, not := strings.CutPrefix(v, "!")
			return strings.HasPrefix(name, rest) != not
		}) {
			return false
		}
	}
	return true
}
