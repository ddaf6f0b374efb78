// Package ssm is the parameter store of the local account.
package ssm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Engine holds the parameters of one account and region, all versions of each.
type Engine struct {
	account, region string

	mu         sync.Mutex
	parameters map[string][]types.Parameter // by name; index 0 is version 1
}

// New makes an empty store.
func New(account, region string) *Engine {
	return &Engine{account: account, region: region, parameters: map[string][]types.Parameter{}}
}

// Limits of https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html and …_GetParameters.html
const (
	maxStandardValue = 4096
	maxNames         = 10
)

// PutParameter makes a parameter, or a new version of it where Overwrite is set.
func (e *Engine) PutParameter(_ context.Context, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	if err := wire.Refuse(in, "Name", "Value", "Type", "Overwrite", "Description"); err != nil {
		return nil, err
	}
	name, value := aws.ToString(in.Name), aws.ToString(in.Value)
	if name == "" || value == "" || len(value) > maxStandardValue {
		return nil, validation("a parameter needs a name and a value of 1 to %d bytes", maxStandardValue)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	versions := e.parameters[name]
	kind := in.Type
	if len(versions) > 0 {
		if !aws.ToBool(in.Overwrite) {
			return nil, &types.ParameterAlreadyExists{Message: aws.String("The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")}
		}
		if kind == "" {
			kind = versions[len(versions)-1].Type
		}
	}
	if !slices.Contains(kind.Values(), kind) {
		return nil, validation("Type must be one of %v, found %q", kind.Values(), kind)
	}
	now := time.Now()
	p := types.Parameter{
		Name: &name, Value: &value, Type: kind, Version: int64(len(versions) + 1), LastModifiedDate: &now,
		DataType: aws.String("text"),
		ARN:      aws.String("arn:aws:ssm:" + e.region + ":" + e.account + ":parameter/" + strings.TrimPrefix(name, "/")),
	}
	e.parameters[name] = append(versions, p)
	return &ssm.PutParameterOutput{Version: p.Version, Tier: types.ParameterTierStandard}, nil
}

// GetParameter answers one parameter by name or ARN, with `:version` for one that is not the newest.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
func (e *Engine) GetParameter(_ context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, err := e.find(aws.ToString(in.Name))
	if err != nil {
		return nil, err
	}
	shown := show(p, aws.ToBool(in.WithDecryption))
	return &ssm.GetParameterOutput{Parameter: &shown}, nil
}

// GetParameters answers up to ten; those that are not there come as InvalidParameters.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
func (e *Engine) GetParameters(_ context.Context, in *ssm.GetParametersInput) (*ssm.GetParametersOutput, error) {
	if len(in.Names) == 0 || len(in.Names) > maxNames {
		return nil, validation("Names must have 1 to %d members, found %d", maxNames, len(in.Names))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	out := &ssm.GetParametersOutput{Parameters: []types.Parameter{}, InvalidParameters: []string{}}
	for _, n := range slices.Sorted(slices.Values(in.Names)) {
		if p, err := e.find(n); err == nil {
			out.Parameters = append(out.Parameters, show(p, aws.ToBool(in.WithDecryption)))
		} else {
			out.InvalidParameters = append(out.InvalidParameters, n)
		}
	}
	return out, nil
}

// DeleteParameter removes a parameter with all its versions.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html
func (e *Engine) DeleteParameter(_ context.Context, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.parameters[aws.ToString(in.Name)]; !ok {
		return nil, &types.ParameterNotFound{}
	}
	delete(e.parameters, *in.Name)
	return &ssm.DeleteParameterOutput{}, nil
}

// Resolve answers what a task definition's valueFrom names: a parameter's name or ARN. The error's words
// are those that ECS shows.
func (e *Engine) Resolve(valueFrom string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, err := e.find(valueFrom)
	if err != nil {
		return "", fmt.Errorf("execution resource retrieval failed: unable to retrieve secrets from ssm: "+
			"service call has been retried 1 time(s): invalid parameters: %s", valueFrom)
	}
	return *p.Value, nil
}

func (e *Engine) find(id string) (types.Parameter, error) {
	id, arn := strings.CutPrefix(id, "arn:aws:ssm:"+e.region+":"+e.account+":parameter/")
	name, selector, selected := strings.Cut(id, ":")
	versions := e.parameters[name]
	if arn && len(versions) == 0 {
		versions = e.parameters["/"+name] // the ARN has one slash whether or not the name begins with one
	}
	if len(versions) == 0 {
		return types.Parameter{}, &types.ParameterNotFound{}
	}
	if !selected {
		return versions[len(versions)-1], nil
	}
	v, err := strconv.Atoi(selector)
	if err != nil || v < 1 || v > len(versions) {
		return types.Parameter{}, &types.ParameterVersionNotFound{
			Message: aws.String("Systems Manager could not find version " + selector + " of " + name + "."),
		}
	}
	p := versions[v-1]
	p.Selector = aws.String(":" + selector)
	return p, nil
}

// show hides a SecureString's value from those who did not ask for it in the clear.
func show(p types.Parameter, decrypt bool) types.Parameter {
	if p.Type == types.ParameterTypeSecureString && !decrypt {
		p.Value = aws.String(fmt.Sprintf("encrypted:%d bytes", len(*p.Value)))
	}
	return p
}

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
