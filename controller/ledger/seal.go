package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// A database knows nothing of its pages but what stands in them: a byte that the disk has lost can hide a key, and a service that had
// a record would be taken for a new one. So the ledger keeps a seal, the sum of what has a record, of who holds which lock and of
// whether there is an environment; it is compared when the file is opened. What the records say is not part of it: one that
// cannot be read is told for its own service.

// sealKey is in the meta bucket. A ledger of an older controller has none before its first save.
var sealKey = []byte("seal")

type seal [sha256.Size]byte

// turn puts a part into the sum, or takes it out of it again.
func (s *seal) turn(parts ...string) {
	var whole bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&whole, "%d:%s", len(p), p)
	}
	for i, b := range sha256.Sum256(whole.Bytes()) {
		s[i] ^= b
	}
}

// sealOf reads the whole file's. Each key must be found by its name, too: that is how it is asked for.
func sealOf(tx *bbolt.Tx) (seal, error) {
	var s seal
	for _, name := range [][]byte{metaBucket, recordsBucket, locksBucket, historyBucket, indexBucket} {
		if tx.Bucket(name) == nil {
			return s, fmt.Errorf("its part %s is gone", name)
		}
	}
	if tx.Bucket(metaBucket).Get(environKey) != nil {
		s.turn("environment")
	}
	var before []byte
	records := tx.Bucket(recordsBucket)
	err := records.ForEach(func(service, data []byte) error {
		if before != nil && bytes.Compare(before, service) >= 0 || data == nil || !bytes.Equal(records.Get(service), data) {
			return errors.New("its records are out of order")
		}
		before = service
		s.turn("record", string(service))
		return nil
	})
	locks := tx.Bucket(locksBucket)
	return s, errors.Join(err, locks.ForEach(func(lock, holder []byte) error {
		if holder == nil || !bytes.Equal(locks.Get(lock), holder) {
			return errors.New("its locks are out of order")
		}
		s.turn("lock", string(lock), string(holder))
		return nil
	}))
}

// checkSeal finds a file of which a part is lost.
func checkSeal(tx *bbolt.Tx) error {
	s, err := sealOf(tx)
	if kept := tx.Bucket(metaBucket); err == nil && kept.Get(sealKey) != nil && !bytes.Equal(kept.Get(sealKey), s[:]) {
		err = errors.New("a record or a lock is lost in it, or was put into it by another program")
	}
	return err
}

// sealing runs a transaction's writes, which turn the seal with what they add and take away.
func sealing(tx *bbolt.Tx, writes func(*seal) error) error {
	meta := tx.Bucket(metaBucket)
	var s seal
	var err error
	kept := meta.Get(sealKey)
	if copy(s[:], kept) != len(s) {
		if s, err = sealOf(tx); err != nil {
			return err
		}
	}
	was := s
	if err := writes(&s); err != nil || s == was && kept != nil {
		return err
	}
	return meta.Put(sealKey, s[:])
}

// guarded runs what reads the file. Pages are read where the file is mapped, and what a damaged one points to is believed: that ends
// in a panic, or in a fault of the memory, which ends as one here. Nothing that was begun is kept then.
func guarded(path string, read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case visitorsPanic:
			panic(p.value)
		default:
			err = damaged(path, fmt.Errorf("%v", p))
		}
	}()
	return read()
}

// visitorsPanic is a panic of whoever is shown the records: none of the file's.
type visitorsPanic struct{ value any }

// visited calls back to whoever asked.
func visited(call func()) {
	defer func() {
		if p := recover(); p != nil {
			panic(visitorsPanic{p})
		}
	}()
	call()
}

func (f *File) view(ctx context.Context, read func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return guarded(f.path, func() error { return f.db.View(read) })
}
