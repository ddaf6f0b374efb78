package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func (p planter) taskDefinitions(ctx context.Context, s *Seed) error {
	return each("taskDefinitions", s.TaskDefinitions, func(v map[string]any) error {
		return p.ask(ctx, "RegisterTaskDefinition", v)
	})
}

func (p planter) services(ctx context.Context, s *Seed) error {
	return each("services", s.Services, func(v map[string]any) error { return p.ask(ctx, "CreateService", v) })
}

// ask sends one ECS request as a client would.
func (p planter) ask(ctx context.Context, operation string, input map[string]any) error {
	expanded, err := p.expandAll(input, "")
	if err != nil {
		return err
	}
	body, err := json.Marshal(expanded)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://ecs/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113."+operation)
	resp, err := p.account.direct.RoundTripper().RoundTrip(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusOK {
		return err
	}
	var failure struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(answer, &failure); err != nil {
		return fmt.Errorf("%s answered %s", operation, answer)
	}
	return fmt.Errorf("%s: %s: %s", operation, failure.Type, failure.Message)
}

var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// expand puts in what ${account}, ${region}, ${registry} and ${kind:name} stand for.
func (p planter) expand(text string) (string, error) {
	var err error
	out := reference.ReplaceAllStringFunc(text, func(r string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(r, "${"), "}")
		switch name {
		case "account":
			return p.account.config.Account
		case "region":
			return p.account.config.Region
		case "registry":
			return p.account.ECR.Registry()
		}
		v, ok := p.names[name]
		if !ok && err == nil {
			err = fmt.Errorf("%s names nothing in this file; there are ${account}, ${region}, ${registry} and %v", r, slices.Sorted(maps.Keys(p.names)))
		}
		return v
	})
	return out, err
}

func (p planter) expandAll(v any, path string) (any, error) {
	switch v := v.(type) {
	case string:
		out, err := p.expand(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			x, err := p.expandAll(e, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			out[i] = x
		}
		return out, nil
	case map[string]any:
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			x, err := p.expandAll(v[k], join(path, k))
			if err != nil {
				return nil, err
			}
			out[k] = x
		}
		return out, nil
	default:
		return v, nil
	}
}
