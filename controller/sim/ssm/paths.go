package ssm

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// GetParametersByPath answers the parameters right below a path, or with Recursive all below it, at most ten in
// a page.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
func (e *Engine) GetParametersByPath(_ context.Context, in *ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
	if err := wire.Refuse(in, "Path", "Recursive", "WithDecryption", "MaxResults", "NextToken"); err != nil {
		return nil, err
	}
	path := aws.ToString(in.Path)
	if !strings.HasPrefix(path, "/") {
		return nil, validation("The parameter path must begin with a slash, found %q", path)
	}
	size := maxNames
	if in.MaxResults != nil {
		if size = int(*in.MaxResults); size < 1 || size > maxNames {
			return nil, validation("MaxResults must be 1 to %d, found %d", maxNames, size)
		}
	}
	prefix := strings.TrimSuffix(path, "/") + "/"
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.Parameter
	for name, versions := range e.parameters {
		rest, below := strings.CutPrefix(name, prefix)
		if below && (aws.ToBool(in.Recursive) || !strings.Contains(rest, "/")) {
			out = append(out, show(versions[len(versions)-1], aws.ToBool(in.WithDecryption)))
		}
	}
	page, next, ok := wire.Page(out, func(p types.Parameter) string { return *p.Name }, in.NextToken, size)
	if !ok {
		return nil, &types.InvalidNextToken{Message: aws.String("The specified token is not valid.")}
	}
	return &ssm.GetParametersByPathOutput{Parameters: slices.Clip(page), NextToken: next}, nil
}

// GetParameterHistory answers all versions of one parameter, the oldest first.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameterHistory.html
func (e *Engine) GetParameterHistory(_ context.Context, in *ssm.GetParameterHistoryInput) (*ssm.GetParameterHistoryOutput, error) {
	if err := wire.Refuse(in, "Name", "WithDecryption"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	versions := e.parameters[aws.ToString(in.Name)]
	if len(versions) == 0 {
		return nil, &types.ParameterNotFound{}
	}
	out := &ssm.GetParameterHistoryOutput{}
	for _, v := range versions {
		p := show(v, aws.ToBool(in.WithDecryption))
		out.Parameters = append(out.Parameters, types.ParameterHistory{
			Name: p.Name, Value: p.Value, Type: p.Type, Version: p.Version, LastModifiedDate: p.LastModifiedDate, DataType: p.DataType,
			Tier: types.ParameterTierStandard,
		})
	}
	return out, nil
}
