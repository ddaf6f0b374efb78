package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/canteen/deploy/controller/rollout"
)

// History returns the service's finished rollouts, newest first: at most limit of them, all that are kept (200) where
// limit is 0.
func (f *File) History(ctx context.Context, service string, limit int) ([]rollout.Entry, error) {
	var entries []rollout.Entry
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		index := tx.Bucket(indexBucket).Bucket([]byte(service))
		if index == nil {
			return nil
		}
		history, cursor := tx.Bucket(historyBucket), index.Cursor()
		for key, _ := cursor.Last(); key != nil && !full(entries, limit); key, _ = cursor.Prev() {
			e, err := DecodeEntry(history.Get(key))
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("history of %s in %s: %w", service, f.path, err)
	}
	return entries, nil
}

// HistoryAll returns the finished rollouts of all services in the order in which they ended, newest first: at most limit of
// them, all that are kept where limit is 0. They may lack their evidence.
func (f *File) HistoryAll(ctx context.Context, limit int) ([]rollout.Entry, error) {
	var entries []rollout.Entry
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(historyBucket).Cursor()
		for key, data := cursor.Last(); key != nil && !full(entries, limit); key, data = cursor.Prev() {
			e, err := DecodeEntry(data)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("history in %s: %w", f.path, err)
	}
	return entries, nil
}

func full(entries []rollout.Entry, limit int) bool { return limit > 0 && len(entries) >= limit }

// remember appends entries to the service's history and drops its oldest beyond the bound.
func remember(tx *bbolt.Tx, service string, entries []rollout.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	history := tx.Bucket(historyBucket)
	index, err := tx.Bucket(indexBucket).CreateBucketIfNotExists([]byte(service))
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		number, err := history.NextSequence()
		if err != nil {
			return err
		}
		if err := history.Put(sequence(number), data); err != nil {
			return err
		}
		if err := index.Put(sequence(number), nil); err != nil {
			return err
		}
	}
	return forgetOldest(history, index)
}

func forgetOldest(history, index *bbolt.Bucket) error {
	var keys [][]byte
	if err := index.ForEach(func(key, _ []byte) error {
		keys = append(keys, bytes.Clone(key)) // a key is not the caller's once its bucket is written to
		return nil
	}); err != nil {
		return err
	}
	for len(keys) > HistoryMax {
		if err := history.Delete(keys[0]); err != nil {
			return err
		}
		if err := index.Delete(keys[0]); err != nil {
			return err
		}
		keys = keys[1:]
	}
	return nil
}
