package ecs

import (
	"container/heap"
	"time"
)

// schedule is what is due when: earliest first, and of one instant in the order
// in which it was asked for.
type schedule struct {
	items []scheduled
	seq   uint64
}

type scheduled struct {
	at  time.Time
	seq uint64
	run func()
}

func (s *schedule) Len() int { return len(s.items) }
func (s *schedule) Less(i, j int) bool {
	if a, b := s.items[i], s.items[j]; !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	} else {
		return a.seq < b.seq
	}
}
func (s *schedule) Swap(i, j int) { s.items[i], s.items[j] = s.items[j], s.items[i] }
func (s *schedule) Push(x any)    { s.items = append(s.items, x.(scheduled)) }
func (s *schedule) Pop() any {
	last := len(s.items) - 1
	x := s.items[last]
	s.items[last] = scheduled{}
	s.items = s.items[:last]
	return x
}

// after runs f with the lock held once d has passed. There is no cancelling:
// f looks whether it is still wanted.
func (e *Engine) after(d time.Duration, f func()) {
	e.schedule.seq++
	heap.Push(&e.schedule, scheduled{at: e.now.Add(d), seq: e.schedule.seq, run: f})
}

// arm makes the one timer fire when the earliest item is due.
func (e *Engine) arm() {
	if len(e.schedule.items) == 0 {
		return
	}
	at := e.schedule.items[0].at
	if e.timer != nil && e.timerAt.Equal(at) {
		return
	}
	e.timerAt = at
	if e.timer == nil {
		e.timer = time.AfterFunc(at.Sub(e.now), e.fire)
		return
	}
	e.timer.Reset(at.Sub(e.now))
}

// fire runs what is due, each item in a section of its own so that neighbours
// are called in between.
func (e *Engine) fire() {
	for due := true; due; {
		e.section(func() {
			e.timerAt = time.Time{}
			due = len(e.schedule.items) > 0 && !e.schedule.items[0].at.After(e.now)
			if due {
				heap.Pop(&e.schedule).(scheduled).run()
			}
		})
		if due {
			e.mu.Lock()
			due = !e.closed
			e.mu.Unlock()
		}
	}
}
