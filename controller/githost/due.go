package githost

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"
)

// next takes what is due, by name; otherwise it says for how long nothing is.
func (s *Speaker) next() (w Word, found bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	wait = refusedFor
	if !s.unshut.IsZero() {
		wait = min(wait, max(0, s.unshut.Sub(now)))
	}
	for _, name := range slices.Sorted(maps.Keys(s.due)) {
		if at := s.due[name]; at.After(now) {
			wait = min(wait, at.Sub(now))
			continue
		}
		delete(s.due, name)
		s.telling = name
		return s.words[name], true, 0
	}
	return Word{}, false, wait
}

// putOff puts back what was not done, until a moment: a word, unless there is a newer one of its service, or where none was found to
// tell, the closing of pull requests.
func (s *Speaker) putOff(w Word, found bool, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !found {
		s.moved, s.unshut = s.moved || until.IsZero(), until
		return
	}
	s.telling = ""
	if _, newer := s.due[w.Service]; !newer {
		s.due[w.Service] = until
	}
}

// told ends what was being told.
func (s *Speaker) told() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.telling = ""
}

// takeMoved reports whether pull requests are to be closed now, and takes that on.
func (s *Speaker) takeMoved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.moved && (s.unshut.IsZero() || time.Now().Before(s.unshut)) {
		return false
	}
	s.moved, s.unshut = false, time.Time{}
	return true
}

// errPanicked is a fault of the program's own.
var errPanicked = errors.New("panic")

// safely does one thing at the host. A panic in it is an error with the place where it happened: the controller, which has services
// to look after, must not end because of what it says.
func (s *Speaker) safely(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.panics.Inc()
			err = fmt.Errorf("%w: %v\n%s", errPanicked, v, debug.Stack())
		}
	}()
	return do()
}
