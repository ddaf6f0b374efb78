package githost

import (
	"context"
	"errors"
	"path"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/rollout"
)

// Speaker tells the host what became of the services. Note is for any goroutine and waits for nothing; Speak is for one.
type Speaker struct {
	host *Host
	page string
	log  *zap.Logger

	mu     sync.Mutex
	words  map[string]Word
	due    map[string]time.Time // services with something to tell, and not before when
	moved  bool                 // a pull request may have become moot
	unshut time.Time            // when those are tried again that the host would not close; zero where it closed all
	wake   chan struct{}

	telling string // the service that the host is told of now
	panics  prometheus.Counter
}

// New is a speaker that knows nothing yet. page is the address of the controller's page, empty for none. reg may
// be nil.
func New(host *Host, page string, log *zap.Logger, reg prometheus.Registerer) *Speaker {
	s := &Speaker{host: host, page: page, log: log, wake: make(chan struct{}, 1)}
	s.register(reg)
	s.forget()
	return s
}

func (s *Speaker) forget() {
	s.words, s.due, s.moved, s.unshut, s.telling = map[string]Word{}, map[string]time.Time{}, true, time.Time{}, ""
}

// end forgets what was to be told: it is for whoever acts next.
func (s *Speaker) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

// Term is the time for which this controller acts.
type Term struct {
	Environment string // its name
	Folder      string // with its files, in the repository
	// History answers the newest finished rollouts of a service, newest first.
	History func(ctx context.Context, service string, limit int) ([]rollout.Entry, error)
}

// What waits how long after an answer that was not one.
const (
	settleFor   = 500 * time.Millisecond // what changes in one moment is told once
	firstPause  = 2 * time.Second
	longestWait = 5 * time.Minute
	refusedFor  = time.Hour          // until what the host refuses is tried again
	limitedFor  = time.Minute        // where a secondary limit does not say how long
	limitedMax  = 2 * time.Hour      // no answer keeps us quiet for longer
	toldFor     = 7 * 24 * time.Hour // older verdicts are not told again by a controller that starts
	historyMax  = 50
)

// Note takes a record over after it was saved.
func (s *Speaker) Note(rec rollout.Record) {
	w, ok := Say(rec)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.words[w.Service]
	if known && old.same(w) {
		return
	}
	s.words[w.Service] = w
	s.moved = s.moved || known && old.Revert != nil || !known || w.State.over() && !s.unshut.IsZero()
	if known || !w.State.over() || time.Since(w.At) < toldFor {
		s.due[w.Service] = time.Time{}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Begin is the start of a term: what was known in another one is forgotten. It must come before the first Note and Speak of the term.
func (s *Speaker) Begin(records []rollout.Record) {
	s.mu.Lock()
	s.forget()
	s.mu.Unlock()
	for _, rec := range records {
		s.Note(rec)
	}
}

// Speak tells until ctx ends. What could not be told by then is told by whoever acts next, since that compares with what the host holds.
func (s *Speaker) Speak(ctx context.Context, t Term) {
	defer s.end()
	pause := firstPause
	for {
		w, found, wait := s.next()
		var err error
		switch {
		case found:
			err = s.safely(func() error { return s.tell(ctx, t, w) })
		case s.takeMoved():
			err = s.safely(func() error { return s.close(ctx, t) })
		default:
			if !s.rest(ctx, wait) {
				return
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			s.told()
			pause = firstPause
			continue
		}
		if errors.Is(err, errPanicked) {
			// Whatever is wrong with this one word must not keep the others back, nor be tried in circles.
			s.log.Error("telling the git host panicked; tried again in an hour, or with the next verdict", zap.String("service", w.Service), zap.Error(err))
			s.putOff(w, found, time.Now().Add(refusedFor))
			continue
		}
		again, limited, refused := judge(err, time.Now())
		switch {
		case refused:
			s.log.Warn("the git host refuses what it is told; tried again in an hour, or with the next verdict", zap.String("service", w.Service), zap.Error(err))
			s.putOff(w, found, time.Now().Add(refusedFor))
			continue
		case limited:
			s.log.Warn("the git host limits requests; it is told later", zap.Duration("wait", again), zap.Error(err))
		default:
			again = pause
			pause = min(2*pause, longestWait)
			s.log.Warn("the git host was not told", zap.String("service", w.Service), zap.Duration("wait", again), zap.Error(err))
		}
		s.putOff(w, found, time.Time{})
		if !sleep(ctx, again) {
			return
		}
	}
}

// tell makes the host say what a word says.
func (s *Speaker) tell(ctx context.Context, t Term, w Word) error {
	entry, err := s.entry(ctx, t, w)
	if err != nil {
		return err
	}
	if entry != nil && w.Rollout == 0 {
		w.Rollout = entry.Number
		s.number(w)
	}
	id, created, err := s.host.deployment(ctx, t.Environment, w)
	if err != nil {
		return err
	}
	if created || w.State == Success {
		open, err := s.host.retire(ctx, t.Environment, w, w.State == Success)
		if err != nil {
			return err
		}
		for _, sha := range open {
			if err := s.status(ctx, t, sha, supersededBy(w.Service, w.Commit)); err != nil {
				return err
			}
		}
	}
	if err := s.host.deploymentStatus(ctx, id, string(w.State), clip(w.Why), Evidence(s.page, w.Service, w.Rollout)); err != nil {
		return err
	}
	if err := s.status(ctx, t, w.Commit, ""); err != nil {
		return err
	}
	if w.Revert == nil {
		return nil
	}
	branch := Branch(t.Environment, w.Service, w.Ask)
	opened, err := s.host.pull(ctx, branch, path.Join(t.Folder, w.Service+".yaml"), w.Revert.Commit, Title(t.Environment, w), Body(t.Environment, s.page, w, entry))
	if opened {
		s.log.Info("revert pull request opened", zap.String("service", w.Service), zap.String("branch", branch))
	}
	return err
}

// status tells what a commit comes to. superseded is said where nothing is asked by it any more.
func (s *Speaker) status(ctx context.Context, t Term, sha, superseded string) error {
	s.mu.Lock()
	var words []Word
	for _, w := range s.words {
		if w.Commit == sha {
			words = append(words, w)
		}
	}
	s.mu.Unlock()
	if len(words) > 0 {
		return s.host.status(ctx, sha, Sum(t.Environment, s.page, words))
	}
	if superseded == "" {
		return nil // it moved on in this moment, and is told with the newer word
	}
	return s.host.status(ctx, sha, Status{Context: Context(t.Environment), State: string(Error), Description: clip(superseded), URL: ""})
}

// entry is the finished rollout that came to the verdict, nil where there is none or history has lost it.
func (s *Speaker) entry(ctx context.Context, t Term, w Word) (*rollout.Entry, error) {
	if !w.State.over() {
		return nil, nil
	}
	list, err := t.History(ctx, w.Service, historyMax)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.Kind == rollout.KindDeploy && e.Ask == w.Ask && (e.Number == w.Rollout || w.Rollout == 0 && e.Result == rollout.ResultSucceeded) {
			return &e, nil
		}
	}
	return nil, nil
}

// number keeps which rollout came to a verdict, for the commit's status.
func (s *Speaker) number(w Word) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.words[w.Service]; now.Commit == w.Commit && now.Ask == w.Ask && now.State == w.State && now.Rollout == 0 {
		now.Rollout = w.Rollout
		s.words[w.Service] = now
	}
}

// close closes the pull requests that git has made moot.
func (s *Speaker) close(ctx context.Context, t Term) error {
	closed, err := s.host.closePulls(ctx, t.Environment, func(service, branch string) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		w, known := s.words[service]
		if !known || Branch(t.Environment, service, w.Ask) == branch && w.State != Success {
			return ""
		}
		return "git moved on, and " + service + " is asked to be what " + w.Commit + " says"
	})
	for _, branch := range closed {
		s.log.Info("revert pull request closed", zap.String("branch", branch))
	}
	return err
}
