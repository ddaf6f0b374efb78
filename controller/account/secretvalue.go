package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// SecretValue reads the text of a secret by its ARN, in the ARN's region, for what the controller itself needs: it is never asked for a
// service's. It takes secretsmanager:GetSecretValue on that secret, which the controller's policy does not have by itself.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func SecretValue(ctx context.Context, id string) (string, error) {
	parsed, err := arn.Parse(id)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(parsed.Region))
	if err != nil {
		return "", fmt.Errorf("load the AWS configuration: %w", err)
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	if out.SecretString == nil {
		return "", errors.New("the secret holds bytes and no text")
	}
	return *out.SecretString, nil
}
