package account

import (
	"context"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Preview answers the content that Act would register, as canonical JSON (see Canonical), and registers nothing. seen is the
// observation that the action was decided on. It is an error wherever Act would be one before it sends anything: a
// container that the template lacks, a secret that does not exist.
func (a *Account) Preview(ctx context.Context, seen observed.Service, r rollout.Register) (string, error) {
	in, err := a.request(ctx, placeOf(seen), r)
	if err != nil {
		return "", err
	}
	content, err := Canonical(in)
	return string(content), err
}

// Content answers the content of a revision as canonical JSON, to be compared with what Preview answers. A revision that ECS
// does not show any more is fault.NotFound.
func (a *Account) Content(ctx context.Context, revision string) (string, error) {
	out, err := a.describeTaskDefinition(ctx, revision)
	if err != nil {
		return "", err
	}
	content, err := Canonical(inputOf(out.TaskDefinition))
	return string(content), err
}
