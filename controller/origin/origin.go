// Package origin finds out which commits the images of a rollout were built of, while it is under way: lead times count from them.
// Nobody waits for it. What is not known when a rollout ends is not known of it, and the image's tag has to do.
package origin

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// Account answers the commit that an image, such as repository@digest, was built of; empty where the image does not say. It keeps
// answers by digest. Errors carry a fault kind.
type Account interface {
	BuiltOf(ctx context.Context, image string) (string, error)
}

// askFor bounds one question, its waits for the budget and its repeats included: one image that does not answer must not keep the
// others back for long.
const askFor = 30 * time.Second

// refusedFor is how long nothing is asked after the account has refused to tell: a role that lacks the permission would be refused
// again and again.
const refusedFor = time.Hour

// Origins knows what images were built of. Its methods are safe for concurrent use.
type Origins struct {
	log     *zap.Logger
	lookups *prometheus.CounterVec

	mu       sync.Mutex
	services map[string]*service
	due      []string // services with something to ask, whose rollout began first first
	wake     chan struct{}
	quiet    time.Time // until when nothing is asked
	refused  bool      // told
}

type service struct {
	rollout int               // the newest that was noted
	built   map[string]string // commits by digest, of the rollout's images and of those that were good before it; never changed, only replaced
	ask     []image           // those of it that are not known
}

type image struct{ name, digest string }

// New knows nothing yet. reg may be nil.
func New(log *zap.Logger, reg prometheus.Registerer) *Origins {
	o := &Origins{log: log, services: map[string]*service{}, wake: make(chan struct{}, 1), lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "deploy_image_commits_total", Help: "Images of rollouts whose commit was asked for, by what came of it.",
	}, []string{"result"})}
	for _, result := range []string{resultFound, resultNone, resultRefused, resultFailed} {
		o.lookups.WithLabelValues(result)
	}
	if reg != nil {
		reg.MustRegister(o.lookups)
	}
	return o
}

// What came of a question.
const (
	resultFound   = "found"
	resultNone    = "none" // the image names no commit
	resultRefused = "refused"
	resultFailed  = "failed"
)

// Note takes over a record after it was saved. It waits for nothing. Where a rollout has begun that git asked for and that changes
// images, they are asked about once, and those that were good before it where they are not known: whether it is a way back to an
// older version is told by both.
func (o *Origins) Note(rec rollout.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if rec.State == rollout.StateReleased {
		delete(o.services, rec.Service)
		return
	}
	ro, known := rec.Rollout, o.services[rec.Service]
	if ro == nil || !measured(*ro) || known != nil && known.rollout == ro.Number {
		return
	}
	s := &service{rollout: ro.Number, built: map[string]string{}}
	before := map[string]string{}
	var old rollout.Containers
	if rec.Good != nil {
		old = rec.Good.Target.Containers
	}
	for name, c := range old.All() {
		before[name] = c.Digest
	}
	changes := false
	for name, c := range ro.Target.Containers.All() {
		if c.Digest != before[name] {
			changes = true
			s.want(known, image{c.Image, c.Digest})
		}
	}
	o.services[rec.Service] = s
	if !changes {
		return
	}
	for _, c := range old.All() {
		s.want(known, image{c.Image, c.Digest})
	}
	if len(s.ask) > 0 {
		o.due = append(o.due, rec.Service)
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// measured reports whether a rollout has a lead time: git asked for it, and not what ran already.
func measured(ro rollout.Rollout) bool {
	return ro.Kind == rollout.KindDeploy && !ro.TakesOver && (ro.Trigger == rollout.TriggerGit || ro.Trigger == rollout.TriggerRetry)
}

// want carries over what is known of an image, and else asks for it.
func (s *service) want(known *service, i image) {
	if i.name == "" || i.digest == "" {
		return // a last good version that only its tags tell of
	}
	if known != nil {
		if commit, ok := known.built[i.digest]; ok {
			s.built[i.digest] = commit
			return
		}
	}
	if !slices.Contains(s.ask, i) {
		s.ask = append(s.ask, i)
	}
}

// Built are the commits that the service's images were built of, by digest, as far as they are known now. It must not be changed.
func (o *Origins) Built(name string) map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.services[name]; s != nil {
		return s.built
	}
	return nil
}

// Of are the commits of the service's images with these digests, in their order: empty where one is not known, nil where none is.
func (o *Origins) Of(name string, digests []string) []string {
	built, any := o.Built(name), false
	commits := make([]string, len(digests))
	for i, digest := range digests {
		commits[i] = built[digest]
		any = any || commits[i] != ""
	}
	if !any {
		return nil
	}
	return commits
}

// Begin is the start of a term in which this controller acts: what was known in another one is forgotten. It must come before the first
// Note and Work of the term. What a term's rollouts were built of is known beyond its end, for those that end with it.
func (o *Origins) Begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.services, o.due = map[string]*service{}, nil
}

// Work asks, one image after the other, until ctx ends.
func (o *Origins) Work(ctx context.Context, account Account) {
	for {
		name, one, ok := o.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-o.wake:
			}
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askFor)
		commit, err := account.BuiltOf(asking, one.name)
		cancel()
		if ctx.Err() != nil {
			return
		}
		o.answered(name, one, commit, err)
	}
}

// next takes the next image that is still wanted.
func (o *Origins) next() (string, image, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Now().Before(o.quiet) {
		o.due = nil
	}
	for len(o.due) > 0 {
		name := o.due[0]
		s := o.services[name]
		if s == nil || len(s.ask) == 0 {
			o.due = o.due[1:]
			continue
		}
		one := s.ask[0]
		s.ask = s.ask[1:]
		return name, one, true
	}
	return "", image{}, false
}

func (o *Origins) answered(name string, one image, commit string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil && commit == "":
		o.lookups.WithLabelValues(resultNone).Inc()
	case err == nil:
		o.lookups.WithLabelValues(resultFound).Inc()
	case fault.ReasonOf(err) == fault.ReasonAccessDenied:
		o.lookups.WithLabelValues(resultRefused).Inc()
		o.quiet = time.Now().Add(refusedFor)
		if !o.refused {
			o.log.Warn("the account does not tell which commits images were built of; lead times go by the images' tags until it does. "+
				"Give the controller's role ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository", zap.String("service", name), zap.Error(err))
		}
		o.refused = true
		return
	default:
		o.lookups.WithLabelValues(resultFailed).Inc()
		o.log.Info("which commit an image was built of is not known; its lead time goes by the tag", zap.String("service", name), zap.String("image", one.name), zap.Error(err))
		return
	}
	if o.refused {
		o.refused = false
		o.log.Info("the account tells again which commits images were built of")
	}
	if s := o.services[name]; s != nil {
		built := maps.Clone(s.built)
		built[one.digest] = commit
		s.built = built
	}
}
