// Package secret reads a database login from AWS Secrets Manager, with the role of the task that it runs in.
package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// timeout bounds the reading, the SDK's own tries included.
const timeout = 20 * time.Second

// Login reads user and password of a secret in the form of RDS's, by its ARN or name, as they are now.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
func Login(ctx context.Context, id string) (user, password string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return "", "", fmt.Errorf("configure the AWS SDK: %w", err)
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", "", fmt.Errorf("read secret %s: %w", id, err)
	}
	var login struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	// The reader's own error repeats what it read.
	if json.Unmarshal([]byte(aws.ToString(out.SecretString)), &login) != nil || login.Username == "" || login.Password == "" {
		return "", "", fmt.Errorf("read secret %s: %w", id, errNoLogin)
	}
	return login.Username, login.Password, nil
}

var errNoLogin = errors.New("it is no JSON object with username and password")
