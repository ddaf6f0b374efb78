package account

import (
	"container/list"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// cache keeps the newest answers by key, with the time of each; the least recently used go first. It is safe for
// concurrent use and never holds its lock across a call.
type cache[V any] struct {
	mu    sync.Mutex
	max   int
	order *list.List // of *cached[V], most recently used first
	items map[string]*list.Element
}

type cached[V any] struct {
	key   string
	value V
	at    time.Time
}

func newCache[V any](max int) *cache[V] {
	return &cache[V]{max: max, order: list.New(), items: map[string]*list.Element{}}
}

// forever is the age that no answer is too old for.
const forever = time.Duration(1<<63 - 1)

// get answers what is kept under the key, unless it is older than maxAge.
func (c *cache[V]) get(key string, maxAge time.Duration) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok || time.Since(e.Value.(*cached[V]).at) >= maxAge {
		var none V
		return none, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached[V]).value, true
}

func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[key]; ok {
		*e.Value.(*cached[V]) = cached[V]{key, v, time.Now()}
		c.order.MoveToFront(e)
		return
	}
	c.items[key] = c.order.PushFront(&cached[V]{key, v, time.Now()})
	if c.order.Len() > c.max {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.items, oldest.Value.(*cached[V]).key)
	}
}

// clear forgets everything.
func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order.Init()
	clear(c.items)
}

func (c *cache[V]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

func (c *cache[V]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[key]; ok {
		c.order.Remove(e)
		delete(c.items, key)
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
