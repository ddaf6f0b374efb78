package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Secrets reads the value of a secret in AWS Secrets Manager by its ARN.
type Secrets func(ctx context.Context, arn string) (string, error)

// secretAge is how long a value from Secrets Manager is used before it is asked for again. Files and variables are read each time.
const secretAge = 5 * time.Minute

// vault finds what references refer to. It is safe for concurrent use.
type vault struct {
	secrets Secrets

	mu   sync.Mutex
	kept map[string]keptSecret
}

type keptSecret struct {
	value string
	at    time.Time
}

// get answers the value. Its errors name the reference, and never a value.
func (v *vault) get(ctx context.Context, r Reference) (string, error) {
	var value string
	var err error
	switch {
	case r.File != "":
		var b []byte
		if b, err = os.ReadFile(r.File); err == nil {
			value = string(b)
		}
	case r.Env != "":
		value = os.Getenv(r.Env)
	default:
		value, err = v.manager(ctx, r.SecretsManager)
	}
	value = strings.TrimSpace(value)
	if err == nil && value == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read the secret of %s: %w", r, err)
	}
	return value, nil
}

func (r Reference) String() string {
	switch {
	case r.File != "":
		return "file " + r.File
	case r.Env != "":
		return "variable " + r.Env
	}
	return r.SecretsManager
}

func (v *vault) manager(ctx context.Context, reference string) (string, error) {
	v.mu.Lock()
	kept, ok := v.kept[reference]
	v.mu.Unlock()
	if ok && time.Since(kept.at) < secretAge {
		return kept.value, nil
	}
	if v.secrets == nil {
		return "", errors.New("this controller reads no secrets of AWS")
	}
	arn, key, member := strings.Cut(reference, "#")
	value, err := v.secrets(ctx, arn)
	if err != nil {
		return "", err
	}
	if member {
		var object map[string]any
		if err := json.Unmarshal([]byte(value), &object); err != nil {
			return "", errors.New("it is not a JSON object") // the error of the library may repeat the value
		}
		text, ok := object[key].(string)
		if !ok {
			return "", fmt.Errorf("it has no text under %q", key)
		}
		value = text
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kept[reference] = keptSecret{value, time.Now()}
	return value, nil
}

// forget drops a value that was refused: there may be a newer one.
func (v *vault) forget(r Reference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.kept, r.SecretsManager)
}
