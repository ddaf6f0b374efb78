package plan

import (
	"fmt"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// MassNote is what to say of a plan that was made of the account alone and comes to a mass change, empty where it does not. The account
// does not tell what a controller has taken over of git, so that what would be begun is counted in its place; of files that are
// gone nothing is known.
func (p Plan) MassNote(policy desired.MassChangePolicy) string {
	n, of := 0, 0
	for _, s := range p.Services {
		if s.Running == nil {
			continue
		}
		of++
		if s.Kind == rollout.KindDeploy && (s.Trigger == rollout.TriggerGit || s.Trigger == rollout.TriggerRetry) && (s.Effect == EffectChange || s.Effect == EffectWait) {
			n++
		}
	}
	if !rollout.Exceeds(n, of, policy) {
		return ""
	}
	return fmt.Sprintf("%d of %d services would change at once, more than %s: a controller that meets this in one commit begins nothing until a commit has the trailer %s: %d.",
		n, of, policy.OrDefaults().Share, desired.ConfirmTrailer, n)
}
