package iam

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Guard holds callers to policies. It is told apart who asks by the access key that a request is signed with; a key that has no
// policy may do everything.
type Guard struct {
	place Place
	// Refused is told of each request that no policy allows, if it is not nil. Where it returns nil the call goes on: so a test
	// can be told and look on.
	Refused func(c *wire.Call, why error) error

	mu       sync.Mutex
	policies map[string][]bound // by access key
	used     map[Use]int
}

// NewGuard makes a guard that lets everybody pass.
func NewGuard(place Place) *Guard {
	return &Guard{place: place, policies: map[string][]bound{}, used: map[Use]int{}}
}

// Bind holds the bearer of an access key to the policies, which together say what it may do.
func (g *Guard) Bind(accessKey string, policies ...Policy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.policies[accessKey] = []bound{}
	for _, p := range policies {
		g.policies[accessKey] = append(g.policies[accessKey], bound{p, map[string][]candidate{}})
	}
}

// bound is a policy that somebody is held to, and what it says about the actions that were asked for so far.
type bound struct {
	policy Policy
	about  map[string][]candidate
}

func (b bound) allows(r Request) (by Use, ok bool) {
	about, known := b.about[r.Action]
	if !known {
		about = b.policy.about(r.Action)
		b.about[r.Action] = about
	}
	return allows(about, r)
}

// Used answers which entries of the policies allowed something so far.
func (g *Guard) Used() []Use {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Use
	for u := range g.used {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b Use) int { return slices.Compare([]string{a.Sid, a.Action}, []string{b.Sid, b.Action}) })
	return out
}

// Check answers an error, as AWS words it, unless the caller may make the call.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func (g *Guard) Check(c *wire.Call) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	policies, held := g.policies[c.AccessKey]
	if !held {
		return nil
	}
	requests, err := g.place.Requests(c)
	if err != nil {
		return denied(c, err.Error())
	}
	for _, r := range requests {
		allowed := false
		for _, p := range policies {
			if by, ok := p.allows(r); ok {
				allowed = true
				g.used[by]++
				break
			}
		}
		if !allowed {
			return denied(c, fmt.Sprintf("User: arn:aws:sts::%s:assumed-role/%s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action",
				g.place.Account, c.AccessKey, r.Action, r.Resource, r.Action))
		}
	}
	return nil
}

func denied(c *wire.Call, message string) error {
	code := "AccessDeniedException"
	if c.Service == "cloudformation" || c.Service == "elasticloadbalancing" || c.Service == "sts" { // those of the query protocol
		code = "AccessDenied"
	}
	return &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
}

// Middleware refuses what is not allowed, before it has an effect.
func (g *Guard) Middleware() wire.Middleware {
	return func(next wire.Next) wire.Next {
		return func(ctx context.Context, c *wire.Call) (any, error) {
			err := g.Check(c)
			if err != nil && g.Refused != nil {
				err = g.Refused(c, err)
			}
			if err != nil {
				return nil, err
			}
			return next(ctx, c)
		}
	}
}
