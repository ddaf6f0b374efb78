package ledger

import (
	"sync"

	"github.com/canteen/deploy/controller/rollout"
)

// memo keeps the records of the file decoded, so that looking at a service in which nothing happens costs no decoding and touches no
// page of the file. One process holds the file, and every write of its records goes through Save, so that what is kept here is what
// stands there; after a write of which that is not known, nothing is kept. What it answers is shared and must not be changed, as with
// everything that rollout takes: whoever tells of ten thousand records holds the same ones.
type memo struct {
	mu      sync.Mutex
	records map[string]memoized
	since   int // transactions before this one are too old to be kept
}

type memoized struct {
	version uint64
	rec     *rollout.Record // nil until somebody has read it since it was written
}

func newMemo() *memo { return &memo{records: map[string]memoized{}} }

func (m *memo) get(service string) (memoized, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.records[service]
	return k, ok
}

// wrote forgets the record before, and keeps that of the new one only the version is known.
func (m *memo) wrote(service string, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[service] = memoized{version: version}
}

// read keeps a record as a transaction showed it, unless a newer one was written meanwhile.
func (m *memo) read(tx int, service string, rec *rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.records[service]; tx >= m.since && (!ok || k.version <= rec.Version) {
		m.records[service] = memoized{rec.Version, rec}
	}
}

// doubt forgets everything: how the writing transaction ended is not known.
func (m *memo) doubt(tx int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.records)
	m.since = tx
}
