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
	rec     *rollout.Record // nil where nobody has read it since it was written, and nothing is in flight
}

func newMemo() *memo { return &memo{records: map[string]memoized{}} }

func (m *memo) get(service string) (memoized, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.records[service]
	return k, ok
}

// wrote forgets the record before. Of the new one it keeps only the version: it is decoded when somebody reads it, which makes it lean.
// That of a rollout in flight, which is read and written every few seconds, is kept as it was written.
func (m *memo) wrote(rec rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := memoized{version: rec.Version}
	if rec.Rollout != nil {
		k.rec = &rec
	}
	m.records[rec.Service] = k
}

// read keeps a record as a transaction showed it, unless a newer one was written meanwhile.
func (m *memo) read(tx int, service string, rec *rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.records[service]; tx >= m.since && (!ok || k.version <= rec.Version) {
		m.records[service] = memoized{rec.Version, rec}
	}
}

// share keeps a record that is kept elsewhere as well in place of the same one.
func (m *memo) share(rec *rollout.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.records[rec.Service]; k.rec != nil && k.rec != rec && k.version == rec.Version && reflect.DeepEqual(*k.rec, *rec) {
		m.records[rec.Service] = memoized{k.version, rec}
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
	if known, ok := f.memo.get(service); ok && known.rec != nil {
		return *known.rec, nil
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
	if known, ok := f.memo.get(service); ok {
		return known.version, nil
	}
	rec, err := f.load(tx, service)
	return rec.Version, err
}
