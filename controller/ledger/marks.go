package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/canteen/deploy/controller/fault"
)

// marksBucket has what was told to whom, by key. A ledger of an older controller has none before the first mark; the seal does not
// count them, since one that is lost only has something told again.
var marksBucket = []byte("marks")

// The bounds of a mark.
const (
	MarkKeyMax  = 500
	MarkDataMax = 64 << 10
)

// CheckMark refuses a mark that must not be kept: Terminal with CodeTooLarge, or one without a key.
func CheckMark(key string, data []byte) error {
	switch {
	case key == "":
		return fault.New(fault.Terminal, CodeDamaged, errors.New("it has no key"))
	case len(key) > MarkKeyMax || len(data) > MarkDataMax:
		return fault.New(fault.Terminal, CodeTooLarge, fmt.Errorf("it has a key of %d bytes and %d bytes; at most %d and %d are kept", len(key), len(data), MarkKeyMax, MarkDataMax))
	}
	return nil
}

// KeepMark keeps data under key, in place of what was there. It is on disk when KeepMark returns without an error. There is one
// writer of marks, whoever holds the ledger: no version is compared.
func (f *File) KeepMark(ctx context.Context, key string, data []byte) error {
	err := ctx.Err()
	if err == nil {
		err = CheckMark(key, data)
	}
	if err == nil {
		err = f.write(func(tx *bbolt.Tx) error {
			marks, err := tx.CreateBucketIfNotExists(marksBucket)
			if err != nil {
				return err
			}
			return marks.Put([]byte(key), data)
		})
	}
	if err != nil {
		return fmt.Errorf("keep the mark %s in %s: %w", key, f.path, err)
	}
	return nil
}

// Marks shows visit every mark that was kept, in order of key.
func (f *File) Marks(ctx context.Context, visit func(key string, data []byte)) error {
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		marks := tx.Bucket(marksBucket)
		if marks == nil {
			return nil
		}
		return marks.ForEach(func(key, data []byte) error {
			visited(func() { visit(string(key), bytes.Clone(data)) })
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read the marks in %s: %w", f.path, err)
	}
	return nil
}
