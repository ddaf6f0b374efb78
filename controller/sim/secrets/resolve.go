package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
)

// arnParts is the number of colon-separated parts of a secret's ARN, whose last is the name.
const arnParts = 7

// Resolve answers what a task definition's valueFrom names: a secret's ARN, optionally followed by
// `:json-key:version-stage:version-id`, of which any may be empty. An error is worded as ECS shows it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
func (e *Engine) Resolve(valueFrom string) (string, error) {
	parts := strings.Split(valueFrom, ":")
	if len(parts) < arnParts || len(parts) > arnParts+3 {
		return "", asm(valueFrom, errors.New("invalid ARN format for AWS Secrets Manager secret"))
	}
	arn := strings.Join(parts[:arnParts], ":")
	rest := append(parts[arnParts:], "", "", "")
	key, stage, version := rest[0], rest[1], rest[2]

	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.usable(&arn)
	if err != nil {
		return "", asm(arn, err)
	}
	_, value, err := s.version(version, stage)
	if err != nil {
		return "", asm(arn, err)
	}
	if key == "" {
		return value, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(value), &members); err != nil {
		return "", asm(arn, errors.New("retrieved secret from Secrets Manager is not a JSON object, but a json key is asked for"))
	}
	raw, ok := members[key]
	if !ok {
		return "", asm(arn, fmt.Errorf("retrieved secret from Secrets Manager did not contain json key %s", key))
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	return string(raw), nil
}

// asm words a failure as the container agent does.
func asm(arn string, err error) error {
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text = fmt.Sprintf("service call has been retried 1 time(s): failed to fetch secret %s from secrets manager: %s: %s",
			arn, api.ErrorCode(), api.ErrorMessage())
	}
	return fmt.Errorf("execution resource retrieval failed: unable to retrieve secret from asm: %s", text)
}
