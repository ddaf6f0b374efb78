package ledger

import (
	"reflect"
	"sync"

	"go.etcd.io/bbolt"

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
	rec     *rollout.Record // nil where it is to be decoded, which makes it lean
	written int             // how often rec may yet be answered as it was written, 0 for ever
}

// writtenReads is how often a record in which nothing is in flight is read as it was written. After a verdict it is written a few times
// more within seconds, and decoding it for each of them would be in vain; one that is read again has come to rest.
const writtenReads = 2

func newMemo() *memo { return &memo{records: map[string]memoized{}} }

func (m *memo) version(service string) (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.records[service]
	return k.version, ok
}

// get answers a record to whoever reads it, nil where it is to be decoded.
func (m *memo) get(service string) *rollout.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.records[service]
	if k.written > 0 {
		left := memoized{version: k.version}
		if k.written > 1 {
			left.rec, left.written = k.rec, k.written-1
		}
		m.records[service] = left
	}
	return k.rec
}

// wrote forgets the record before. The new one is kept as it was written while a rollout is in flight, in which it is read and written
// every few seconds, and else for a few reads.
func (m *memo) wrote(rec rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := memoized{version: rec.Version, rec: &rec}
	if rec.Rollout == nil {
		k.written = writtenReads
	}
	m.records[rec.Service] = k
}

// read keeps a record as a transaction showed it, unless a newer one was written meanwhile.
func (m *memo) read(tx int, service string, rec *rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.records[service]; tx >= m.since && (!ok || k.version <= rec.Version) {
		m.records[service] = memoized{version: rec.Version, rec: rec}
	}
}

// share keeps a record that is kept elsewhere as well in place of the same one.
func (m *memo) share(rec *rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.records[rec.Service]; k.rec != nil && k.rec != rec && k.version == rec.Version && reflect.DeepEqual(*k.rec, *rec) {
		m.records[rec.Service] = memoized{k.version, rec, k.written}
	}
}

// Share lets a record that somebody keeps be the memory of the same one here, so that it is there once. It must not be changed from then
// on. One that is not what is stored is left alone.
func (f *File) Share(rec *rollout.Record) { f.memo.share(rec) }

// doubt forgets everything: how the writing transaction ended is not known.
func (m *memo) doubt(tx int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.records)
	m.since = tx
}

func (f *File) load(tx *bbolt.Tx, service string) (rollout.Record, error) {
	if known := f.memo.get(service); known != nil {
		return *known, nil
	}
	data := tx.Bucket(recordsBucket).Get([]byte(service))
	if data == nil {
		return rollout.Record{}, nil
	}
	return f.decode(tx, data, service)
}

// decode reads a record, and keeps it.
func (f *File) decode(tx *bbolt.Tx, data []byte, service string) (rollout.Record, error) {
	rec, err := Decode(data, service)
	if err == nil && f.says != nil {
		shareIntent(&rec, f.says(service))
	}
	if err == nil {
		f.memo.read(tx.ID(), service, &rec)
	}
	return rec, err
}

// version is the stored record's, 0 where there is none.
func (f *File) version(tx *bbolt.Tx, service string) (uint64, error) {
	if known, ok := f.memo.version(service); ok {
		return known, nil
	}
	rec, err := f.load(tx, service)
	return rec.Version, err
}
