// Package queue says which service is to be looked at next, and not before when. Only a key and a due time travel with
// it: whoever gets a key looks at the present state of the world, so a hundred wakes of one key cost one pass.
//
// The queue remembers nothing across restarts and knows no backoff: due times are decided, and kept, by the records.
package queue

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"
)

// Queue hands out keys in order of their due time, and of the key where due times are equal. It is safe for concurrent
// use. The oldest due key always goes first and a wake never counts as older than the moment it was made, so no key
// that is due can be starved by others that are woken again and again.
type Queue struct {
	mu      sync.Mutex
	entries map[string]*entry // every key that is queued, held, or both
	due     dueHeap           // the queued ones that are not held

	// signal holds a token whenever the head of due may have changed since a waiting Get looked at it. One token wakes
	// one Get, which passes it on after taking a key, so a burst of wakes does not wake every worker for every key.
	signal chan struct{}

	// watched is the earliest time that a waiting Get has set a timer for; zero where none has. One is enough: were all that wait to
	// set one, each key that becomes due would wake them all.
	watched time.Time
}

// entry is one key. It is in the heap (queued, not held), held, or held with a wake remembered for its Done.
type entry struct {
	key    string
	at     time.Time // when due; meaningful when queued
	queued bool
	held   bool
	index  int // in the heap
}

// Stats are the queue's numbers at one moment.
type Stats struct {
	Queued int // keys that wait for their time or for a holder, held keys that were woken again included
	Due    int // keys whose time has come and that nobody holds
	Held   int // keys that were got and are not done
	// Oldest is when the key that has been due for longest became due; zero when none is due.
	Oldest time.Time
}

// New returns an empty queue.
func New() *Queue {
	return &Queue{entries: map[string]*entry{}, signal: make(chan struct{}, 1)}
}

// WakeAt makes the key due at the given time, or now when that is past. Where the key is queued already the earlier
// time wins. A key that is held is remembered, and queued when its holder is done.
func (q *Queue) WakeAt(key string, at time.Time) {
	now := time.Now()
	if at.Before(now) {
		at = now
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[key]
	if e == nil {
		e = &entry{key: key}
		q.entries[key] = e
	}
	if e.queued && !at.Before(e.at) {
		return
	}
	e.at = at
	switch {
	case e.held:
		e.queued = true
	case e.queued:
		heap.Fix(&q.due, e.index)
		q.notify()
	default:
		q.push(e)
	}
}

// Get waits until a key is due and returns it. The key is the caller's alone until Done. The error is ctx's, wrapped,
// and then no key was taken.
func (q *Queue) Get(ctx context.Context) (string, error) {
	var timer *time.Timer
	var mine time.Time // what the timer is set for
	for {
		if err := ctx.Err(); err != nil {
			// This Get may have been the one that watched the head: another one has to take over.
			q.mu.Lock()
			q.unwatch(mine)
			q.notify()
			q.mu.Unlock()
			return "", fmt.Errorf("next key of the queue: %w", err)
		}
		key, at, taken := q.take(mine)
		if taken {
			return key, nil
		}
		mine = at
		var ring <-chan time.Time
		if !mine.IsZero() {
			if timer == nil {
				timer = time.NewTimer(time.Until(mine))
				defer timer.Stop()
			} else {
				timer.Reset(time.Until(mine))
			}
			ring = timer.C
		}
		select {
		case <-ctx.Done():
		case <-q.signal:
		case <-ring:
		}
	}
}

// Done ends the caller's hold of a key. A wake that came meanwhile is queued now. Done of a key that nobody holds is a
// mistake in the program, like unlocking an unlocked mutex, and panics.
func (q *Queue) Done(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[key]
	if e == nil || !e.held {
		panic("queue: Done of " + key + ", which nobody holds")
	}
	e.held = false
	if e.queued {
		q.push(e)
		return
	}
	delete(q.entries, key)
}

// Forget drops every wake of a key made so far. A holder keeps it until Done; a wake made after Forget counts.
func (q *Queue) Forget(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[key]
	if e == nil {
		return
	}
	if e.held {
		e.queued = false
		return
	}
	heap.Remove(&q.due, e.index)
	delete(q.entries, key)
}

// Stats counts the keys, in time proportional to their number.
func (q *Queue) Stats() Stats {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	var s Stats
	for _, e := range q.entries {
		if e.queued {
			s.Queued++
		}
		if e.held {
			s.Held++
		} else if !e.at.After(now) {
			s.Due++
		}
	}
	if s.Due > 0 {
		s.Oldest = q.due[0].at
	}
	return s
}

// take gives the caller the head if it is due. If not, the caller has to wait for the signal or, where it is the one that watches, for the
// time that is answered. mine is what it watched for until now.
func (q *Queue) take(mine time.Time) (key string, watch time.Time, taken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unwatch(mine)
	if len(q.due) == 0 {
		return "", time.Time{}, false
	}
	e := q.due[0]
	if time.Until(e.at) > 0 {
		if !q.watched.IsZero() && !q.watched.After(e.at) {
			return "", time.Time{}, false
		}
		q.watched = e.at
		return "", e.at, false
	}
	heap.Pop(&q.due)
	e.queued, e.held = false, true
	if len(q.due) > 0 {
		q.notify()
	}
	return e.key, time.Time{}, true
}

// unwatch is told by a Get that does not wait for that time any more.
func (q *Queue) unwatch(mine time.Time) {
	if !mine.IsZero() && q.watched.Equal(mine) {
		q.watched = time.Time{}
	}
}

func (q *Queue) push(e *entry) {
	e.queued = true
	heap.Push(&q.due, e)
	if e.index == 0 {
		q.notify()
	}
}

// notify leaves the token; a token that is there already will do.
func (q *Queue) notify() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// dueHeap orders entries by due time, then by key so that equal times have one order in every run.
type dueHeap []*entry

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].key < h[j].key
}
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
