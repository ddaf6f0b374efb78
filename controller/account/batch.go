package account

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/urgency"
)

// batcher joins what several services ask for into requests of up to max names, where they ask within wait of each other, or while
// another request that is not full waits for its turn or its answer: sent beside it, it would wait as well, and take another turn. A wait
// of zero sends each question at once. Only questions of one group, such as a cluster, and of one urgency are joined: what is
// urgent must not wait its turn with what is not.
type batcher[V any] struct {
	max  int
	wait time.Duration
	// send asks about names, max at most. A name that the answer lacks was not mentioned.
	send func(ctx context.Context, group string, names []string) (map[string]V, error)

	mu   sync.Mutex
	open map[joined]*batch[V] // the one that still takes names
	away map[joined]int       // how many are sent and have no answer
}

// patience is how long, in waits, a batch stays open for one before it: long enough for a turn in a budget that is used up, and no
// hostage of an answer that does not come.
const patience = 100

type joined struct {
	group string
	class urgency.Class
}

type batch[V any] struct {
	names  []string
	asking int // who waits for it
	timer  *time.Timer
	due    bool          // it has waited long enough, and is sent as soon as none is before it
	done   chan struct{} // closed once out and err are set
	out    map[string]V
	err    error
}

func newBatcher[V any](max int, wait time.Duration, send func(context.Context, string, []string) (map[string]V, error)) *batcher[V] {
	return &batcher[V]{max: max, wait: wait, send: send, open: map[joined]*batch[V]{}, away: map[joined]int{}}
}

// ask answers for names, however many. The answer may have others' names too, and lacks those that AWS did not mention.
func (b *batcher[V]) ask(ctx context.Context, group string, names ...string) (map[string]V, error) {
	out := map[string]V{}
	for chunk := range slices.Chunk(names, b.max) {
		part, err := b.askOne(ctx, group, chunk)
		if err != nil {
			return nil, err
		}
		for _, n := range chunk {
			if v, ok := part[n]; ok {
				out[n] = v
			}
		}
	}
	return out, nil
}

func (b *batcher[V]) askOne(ctx context.Context, group string, names []string) (map[string]V, error) {
	if b.wait <= 0 || len(names) == b.max {
		return b.send(ctx, group, names)
	}
	one := b.join(ctx, joined{group, urgency.Of(ctx)}, names)
	select {
	case <-one.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// What is wrong with one name must not be the others' trouble.
	if one.asking > 1 && fault.Is(Classify(one.err), fault.Terminal) {
		return b.send(ctx, group, names)
	}
	return one.out, one.err
}

// join adds the names to the open batch, which is sent when it is full or has waited long enough. A caller who gives up does not
// end the others' request.
func (b *batcher[V]) join(ctx context.Context, to joined, names []string) *batch[V] {
	ctx = context.WithoutCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.open[to]
	if one != nil && len(union(one.names, names)) > b.max {
		b.close(ctx, to, one)
		one = nil
	}
	if one == nil {
		opened := &batch[V]{done: make(chan struct{})}
		opened.timer = time.AfterFunc(b.wait, func() { b.ripe(ctx, to, opened) })
		one, b.open[to] = opened, opened
	}
	one.names = union(one.names, names)
	one.asking++
	if len(one.names) == b.max {
		b.close(ctx, to, one)
	}
	return one
}

// ripe sends a batch that has waited long enough, once none is before it or it has waited for that as well.
func (b *batcher[V]) ripe(ctx context.Context, to joined, one *batch[V]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open[to] != one:
	case b.away[to] > 0 && !one.due:
		one.due = true
		one.timer.Reset((patience - 1) * b.wait)
	default:
		b.close(ctx, to, one)
	}
}

// close lets nobody join any more, and sends the batch. The caller holds the lock.
func (b *batcher[V]) close(ctx context.Context, to joined, one *batch[V]) {
	delete(b.open, to)
	one.timer.Stop()
	b.away[to]++
	go func() {
		one.out, one.err = b.send(ctx, to.group, one.names)
		close(one.done)
		b.returned(ctx, to)
	}()
}

// returned sends the batch that has waited for the one that has its answer now.
func (b *batcher[V]) returned(ctx context.Context, to joined) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away[to]--; b.away[to] > 0 {
		return
	}
	delete(b.away, to)
	if next := b.open[to]; next != nil && next.due {
		b.close(ctx, to, next)
	}
}

func union(a, b []string) []string {
	for _, n := range b {
		if !slices.Contains(a, n) {
			a = append(a, n)
		}
	}
	return a
}
