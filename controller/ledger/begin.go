package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// begin makes an empty ledger where there is none. It is made beside its place and put there whole: what is left of one that was begun
// on a full disk, or by a process that was killed, would be taken for a damaged ledger ever after. Where two controllers begin at once
// the first one's stays.
func begin(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // also what cannot be looked at: opening it says why
	}
	draft, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	if err := draft.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(draft.Name(), 0o600, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		return err
	}
	f := &File{path: path, db: db}
	if err := errors.Join(f.prepare(), db.Close()); err != nil {
		return err
	}
	err = os.Link(draft.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil { // a file system without hard links
		return os.Rename(draft.Name(), path)
	}
	return nil
}
