package account

import (
	"sync"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// cache keeps the newest answers by key, with the time of each; the least recently used go first. It is safe for
// concurrent use and never holds its lock across a call.
type cache[V any] struct {
	mu    sync.Mutex
	max   int
	items map[string]*cached[V]
	ends  cached[V] // of the ring of all: the most recently used follows it, the least recently used is before it
}

// cached is an answer and its place in the ring. The ring is no container/list, whose elements would take as much again, five times for
// each of ten thousand services.
type cached[V any] struct {
	key           string
	value         V
	at            time.Time
	before, after *cached[V]
}

func newCache[V any](max int) *cache[V] {
	c := &cache[V]{max: max, items: map[string]*cached[V]{}}
	c.ends.before, c.ends.after = &c.ends, &c.ends
	return c
}

// forever is the age that no answer is too old for.
const forever = time.Duration(1<<63 - 1)

// get answers what is kept under the key, unless it is older than maxAge.
func (c *cache[V]) get(key string, maxAge time.Duration) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok || time.Since(e.at) >= maxAge {
		var none V
		return none, false
	}
	c.use(e)
	return e.value, true
}

func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		e = &cached[V]{key: key}
		c.items[key] = e
	}
	e.value, e.at = v, time.Now()
	c.use(e)
	if len(c.items) > c.max {
		c.remove(c.ends.before)
	}
}

// use makes an entry, in the ring or not yet, the most recently used one. The caller holds the lock.
func (c *cache[V]) use(e *cached[V]) {
	if e.after != nil {
		e.before.after, e.after.before = e.after, e.before
	}
	e.before, e.after = &c.ends, c.ends.after
	e.before.after, e.after.before = e, e
}

// remove is called with the lock held.
func (c *cache[V]) remove(e *cached[V]) {
	e.before.after, e.after.before = e.after, e.before
	delete(c.items, e.key)
}

// clear forgets everything.
func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.items)
	c.ends.before, c.ends.after = &c.ends, &c.ends
}

func (c *cache[V]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.items)
}

func (c *cache[V]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[key]; ok {
		c.remove(e)
	}
}

// freshFor bounds how long an answer of the same pass counts as fresh: a pass may have to wait for its turn.
const freshFor = 2 * time.Second

// freshness is how old the answers of a look may be.
type freshness struct {
	wanted bool
	since  time.Time // what was answered later is fresh
}

func freshnessOf(look observed.Look) freshness { return freshness{look.Fresh, look.Since} }

// within is max where any recent answer will do. Where a fresh one is wanted, it is one of the same pass or none.
func (f freshness) within(max time.Duration) time.Duration {
	if !f.wanted {
		return max
	}
	return min(max, f.pass())
}

// pass is how old an answer of the same pass can be, zero where none counts.
func (f freshness) pass() time.Duration {
	if d := time.Since(f.since); !f.since.IsZero() && d <= freshFor {
		return d + 1 // what came in that very moment counts
	}
	return 0
}
