package ledger

import (
	"hash/maphash"
	"sync"

	"github.com/canteen/deploy/controller/rollout"
)

// memoMax bounds how many records are kept decoded: services that roll, and then some.
const memoMax = 1000

// memo keeps records as they were read, by the bytes that they were read from: reading the same bytes again costs no decoding.
// What it answers is shared and must not be changed, as with everything that rollout takes.
type memo struct {
	seed maphash.Seed

	mu      sync.Mutex
	records map[string]memoized
}

type memoized struct {
	sum  uint64
	size int
	// version is the record's; rec is the whole of it once somebody has read it since it was written.
	version uint64
	rec     *rollout.Record
}

func newMemo() *memo { return &memo{seed: maphash.MakeSeed(), records: map[string]memoized{}} }

func (m *memo) get(service string, data []byte) (memoized, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.records[service]
	return k, ok && k.size == len(data) && k.sum == maphash.Bytes(m.seed, data)
}

func (m *memo) put(service string, data []byte, version uint64, rec *rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.records) >= memoMax {
		clear(m.records)
	}
	m.records[service] = memoized{maphash.Bytes(m.seed, data), len(data), version, rec}
}
