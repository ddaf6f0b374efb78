package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// resolveSecrets answers ECS's valueFrom for each reference that the containers declare. No value is ever read: a secret's
// ARN comes from DescribeSecret, because it ends in characters that its name does not tell.
func (a *Account) resolveSecrets(ctx context.Context, containers map[string]rollout.Container) (map[string]string, error) {
	out := map[string]string{}
	for _, c := range slices.Sorted(maps.Keys(containers)) {
		for _, k := range slices.Sorted(maps.Keys(containers[c].Secrets)) {
			reference := containers[c].Secrets[k]
			valueFrom, err := a.valueFrom(ctx, reference)
			if err != nil {
				return nil, fmt.Errorf("secret %s of container %s: %w", k, c, err)
			}
			out[reference] = valueFrom
		}
	}
	return out, nil
}

func (a *Account) valueFrom(ctx context.Context, reference string) (string, error) {
	kind, rest, _ := strings.Cut(reference, ":")
	switch kind {
	case "arn":
		return reference, nil
	case "ssm":
		return a.prefix("ssm") + "parameter/" + strings.TrimPrefix(rest, "/"), nil
	case "secretsmanager":
		secret, key, keyed := strings.Cut(rest, ":")
		arn, err := a.secretARN(ctx, secret)
		if err != nil || !keyed {
			return arn, err
		}
		return arn + ":" + key + "::", nil
	}
	return "", fault.New(fault.Terminal, "reference_unknown", fmt.Errorf(
		"%q is no reference; write secretsmanager:<name>[:<key>], ssm:<name> or an ARN", reference))
}

func (a *Account) secretARN(ctx context.Context, secret string) (string, error) {
	if arn, ok := a.secrets.get(secret, a.opts.SecretAge); ok {
		return arn, nil
	}
	out, err := a.aws.Secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &secret})
	if err = deed(err, "look for secret %s", secret); fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.Blocked, "secret_missing", err)
	}
	if err != nil {
		return "", err
	}
	if out.DeletedDate != nil {
		return "", fault.New(fault.Blocked, "secret_deleted", fmt.Errorf("secret %s is scheduled for deletion: restore it or name another", secret))
	}
	a.secrets.put(secret, aws.ToString(out.ARN))
	return aws.ToString(out.ARN), nil
}

// prefix is what the ARNs of a service begin with in this region and account. What another account shares is read by ECS with another
// role, and is not for this controller to look at.
func (a *Account) prefix(service string) string {
	return "arn:" + a.partition() + ":" + service + ":" + a.opts.Region + ":" + a.opts.Account + ":"
}

// withoutKey is a valueFrom without the key, stage and version that may follow a secret's ARN.
func withoutKey(valueFrom string) string {
	parts := strings.SplitN(valueFrom, ":", 8)
	return strings.Join(parts[:min(len(parts), 7)], ":")
}

// observeSecrets answers which version of each secret is the current one: the id of the version that AWSCURRENT names, or a
// parameter's number. No value is read.
func (a *Account) observeSecrets(ctx context.Context, s *observed.Service, look observed.Look) error {
	s.Secrets = map[string]string{}
	for _, reference := range look.Secrets {
		version, err := a.secretVersion(ctx, reference, freshnessOf(look))
		if err != nil {
			return fmt.Errorf("look for the version of %s: %w", reference, err)
		}
		s.Secrets[reference] = version
	}
	return nil
}

func (a *Account) secretVersion(ctx context.Context, reference string, fresh freshness) (string, error) {
	valueFrom, err := a.valueFrom(ctx, reference)
	if err != nil {
		return "", err
	}
	id := withoutKey(valueFrom)
	if v, ok := a.versions.get(id, fresh.within(a.opts.SecretAge)); ok {
		return v, nil
	}
	version := "unknown here" // of another region or account: nothing here could tell, and it never changes
	switch {
	case strings.HasPrefix(id, "arn:"+a.partition()+":secretsmanager:"+a.opts.Region+":"):
		out, err := a.aws.Secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
		if err = deed(err, "look for secret %s", id); fault.Is(err, fault.Blocked) && !strings.HasPrefix(id, a.prefix("secretsmanager")) {
			break // another account shares it with the service, and not with the controller
		}
		if err != nil {
			return "", err
		}
		for v, stages := range out.VersionIdsToStages {
			if slices.Contains(stages, "AWSCURRENT") {
				version = v
			}
		}
	case strings.HasPrefix(id, a.prefix("ssm")):
		_, parameter, _ := strings.Cut(id, ":parameter")
		if version, err = a.parameterVersion(ctx, parameter); err != nil {
			return "", err
		}
	}
	a.versions.put(id, version)
	return version, nil
}

// nameOfSecret is the name within a secret's ARN, which ends in a hyphen and six characters more.
func nameOfSecret(arn string) string {
	_, secret, _ := strings.Cut(arn, ":secret:")
	return secret[:max(0, len(secret)-7)]
}

// secretExists reports whether what a valueFrom names can be read by ECS as far as its existence goes. What is no ARN of
// this region and account is taken to exist: nothing here could tell.
func (a *Account) secretExists(ctx context.Context, valueFrom string, fresh freshness) (bool, error) {
	id := withoutKey(valueFrom)
	if _, ok := a.present.get(id, fresh.within(a.opts.SecretAge)); ok {
		return true, nil
	}
	var err error
	switch {
	case strings.HasPrefix(id, a.prefix("secretsmanager")):
		var out *secretsmanager.DescribeSecretOutput
		out, err = a.aws.Secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
		if err == nil && out.DeletedDate != nil {
			return false, nil
		}
	case strings.HasPrefix(id, a.prefix("ssm")):
		_, parameter, _ := strings.Cut(id, ":parameter")
		_, err = a.parameterVersion(ctx, parameter)
	}
	if err = deed(err, "look for secret %s", id); fault.Is(err, fault.NotFound) {
		a.secrets.drop(nameOfSecret(id)) // one of its name has another ARN
		return false, nil
	}
	if err != nil {
		return false, err
	}
	a.present.put(id, true)
	return true, nil
}

// parameterVersion asks for a parameter's version without its value. Its ARN does not tell whether the name begins with a slash.
func (a *Account) parameterVersion(ctx context.Context, parameter string) (string, error) {
	for _, n := range []string{parameter, strings.TrimPrefix(parameter, "/")} {
		out, err := a.aws.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &n, WithDecryption: aws.Bool(false)})
		if err = Classify(err); err != nil && !fault.Is(err, fault.NotFound) {
			return "", err
		}
		if err == nil {
			return strconv.FormatInt(out.Parameter.Version, 10), nil
		}
	}
	return "", fault.New(fault.NotFound, "ParameterNotFound", fmt.Errorf("there is no parameter %s", parameter))
}
