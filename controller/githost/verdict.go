package githost

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-github/v88/github"
)

// Verdict is what the host was told of an image in an environment.
type Verdict struct {
	State  State     // newest that is one: Success, Failure or Error; empty where there is none yet
	At     time.Time // when it was told
	Why    string
	Digest string // of the image
}

// lookedAt is how many of a service's deployments are looked through for an image.
const lookedAt = 50

// Verdict answers what became of the newest ask in the environment that had this image in this container. digest may be empty: then the
// tag alone says which. found is false where no deployment had it.
func (h *Host) Verdict(ctx context.Context, environment, service, container, tag, digest string) (v Verdict, found bool, err error) {
	list, _, err := h.client.Repositories.ListDeployments(ctx, h.owner, h.repo,
		&github.DeploymentsListOptions{Task: task(service), Environment: environment, ListOptions: github.ListOptions{PerPage: lookedAt}})
	if err != nil {
		return Verdict{}, false, fmt.Errorf("look for deployments of %s in %s: %w", service, environment, err)
	}
	for _, d := range list {
		had, ok := imageIn(d.Payload, container, tag, digest)
		if !ok {
			continue
		}
		statuses, _, err := h.client.Repositories.ListDeploymentStatuses(ctx, h.owner, h.repo, d.GetID(), &github.ListOptions{PerPage: 100})
		if err != nil {
			return Verdict{}, false, fmt.Errorf("read the statuses of deployment %d: %w", d.GetID(), err)
		}
		v = Verdict{Digest: had}
		for _, s := range statuses { // newest first; what is inactive was good before, or is told by what follows
			if state := State(s.GetState()); state.over() {
				v.State, v.At, v.Why = state, s.GetCreatedAt().Time, s.GetDescription()
				break
			}
		}
		return v, true, nil
	}
	return Verdict{}, false, nil
}

// imageIn finds an image in a deployment's payload, which GitHub may give back as an object or as its text, and returns its digest.
// Deployments that others made have another payload, or none.
func imageIn(raw json.RawMessage, container, tag, digest string) (had string, ok bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var p payload
	if json.Unmarshal(raw, &p) != nil {
		return "", false
	}
	for _, image := range p.Images {
		name, d, _ := strings.Cut(image, "@")
		if name == container+":"+tag && (digest == "" || d == digest) {
			return d, true
		}
	}
	return "", false
}
