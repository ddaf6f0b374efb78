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

// later puts back what was not told, unless there is something newer to tell.
func (s *Speaker) later(w Word, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.telling = ""
	if _, newer := s.due[w.Service]; !newer {
		s.due[w.Service] = at
	}
}

// told ends what was being told.
func (s *Speaker) told() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.telling = ""
}

func (s *Speaker) takeMoved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.moved
	s.moved = false
	return was
}

func (s *Speaker) setMoved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = true
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
