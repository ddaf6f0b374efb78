// Package ledger keeps what the controller remembers, in one embedded file: the record of each service, the table of
// migration locks, and the history of finished rollouts. Every save is one transaction that is on disk before it is
// acknowledged; a crash leaves it wholly done or wholly undone.
//
// One process holds the file at a time. What is lost with it is not lost for good: the tags in the account say which
// revision was good and what was migrated, and a controller with an empty ledger starts from them.
package ledger

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// fileSchema is the version of the file's own layout; rollout.Schema is that of the records in it.
const fileSchema = 1

// lockWait is how long Open waits for a process that is just ending.
const lockWait = time.Second

// The file's buckets.
var (
	metaBucket    = []byte("meta")    // schema, environment
	recordsBucket = []byte("records") // service → record
	locksBucket   = []byte("locks")   // migration lock → service
	historyBucket = []byte("history") // sequence number → entry, over all services
	indexBucket   = []byte("index")   // service → bucket of its sequence numbers
	schemaKey     = []byte("schema")
	environKey    = []byte("environment")
)

// File is the embedded ledger. It is safe for concurrent use.
type File struct {
	path string
	db   *bbolt.DB
	memo *memo
	says func(service string) *desired.Service // nil for nobody
	// broken, once set, is why no write is begun any more: one ended in a panic over a damaged page, maybe with bbolt's lock held,
	// for which the next one, and Close, would wait for ever.
	broken atomic.Pointer[error]
}

// Options change how the file is kept.
type Options struct {
	// Unsynced leaves it to the operating system when what is saved reaches the disk. A process that is killed loses nothing,
	// a machine that fails may lose or damage the file: for simulations only.
	Unsynced bool
	// Says, where set, answers what git says of a service now, nil for nothing. A record that says the same shares the memory of it.
	Says func(service string) *desired.Service
}

// Open opens the file, or creates it where there is none, and holds it until Close. A process that holds it already is
// an error after a second; so is a file that a newer controller wrote, that is damaged, or that is something else.
func Open(path string) (*File, error) { return OpenWith(path, Options{}) }

// OpenWith opens the file as Open does, kept as the options say.
func OpenWith(path string, opts Options) (*File, error) {
	if err := begin(path); err != nil {
		return nil, fmt.Errorf("create ledger %s: %w", path, err)
	}
	var f *File
	err := guarded(path, func() (err error) {
		f, err = open(path, opts)
		return err
	})
	return f, err
}

func open(path string, opts Options) (*File, error) {
	if err := check(path); err != nil {
		return nil, unopened(path, err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, NoSync: opts.Unsynced, NoFreelistSync: opts.Unsynced})
	if err != nil {
		return nil, unopened(path, err)
	}
	f := &File{path: path, db: db, memo: newMemo(), says: opts.Says}
	if err := f.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return f, nil
}

// Close lets go of the file. Calls that are under way are finished first; later ones fail.
func (f *File) Close() error {
	if f.broken.Load() != nil {
		return nil // the file is let go of when the process ends
	}
	if err := f.db.Close(); err != nil {
		return fmt.Errorf("close ledger %s: %w", f.path, err)
	}
	return nil
}

func (f *File) prepare() error {
	var schema int
	err := f.db.View(func(tx *bbolt.Tx) (err error) {
		if meta := tx.Bucket(metaBucket); meta != nil {
			schema, err = strconv.Atoi(string(meta.Get(schemaKey)))
		} else if first, _ := tx.Cursor().First(); first != nil {
			err = errors.New("it is a database of another program")
		}
		return err
	})
	switch {
	case err != nil:
		return damaged(f.path, err)
	case schema == fileSchema:
		if err := f.db.View(checkSeal); err != nil {
			return damaged(f.path, err)
		}
		return nil // and not one write to a ledger that is only opened
	case schema > fileSchema:
		return fault.New(fault.Terminal, CodeSchema, fmt.Errorf("ledger %s has schema %d and this controller knows up to %d: run the controller that wrote it, or a newer one", f.path, schema, fileSchema))
	}
	err = f.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{metaBucket, recordsBucket, locksBucket, historyBucket, indexBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(schemaKey, []byte(strconv.Itoa(fileSchema)))
	})
	if err != nil {
		return fmt.Errorf("create ledger %s: %w", f.path, err)
	}
	return nil
}

// check finds a file that was cut short or whose pages are not a tree. A database is mapped into memory when it is opened for writing,
// and reading behind the file's end then kills the process. Opened for reading, its head alone is looked at, and nobody writes.
func check(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if info.Size() == 0 {
		return nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		if info, err := file.Stat(); err != nil || info.Size() < tx.Size() {
			return errors.Join(err, errCut)
		}
		if err := walkPages(file, tx.Size()); err != nil {
			return fmt.Errorf("%w: %w", errTree, err)
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

var (
	errCut  = errors.New("the file ends before its content does")
	errTree = errors.New("its pages are not as they were written")
)

func unopened(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fault.New(fault.Blocked, CodeInUse, fmt.Errorf("another controller holds %s: stop it first, or name another ledger", path))
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, errCut), errors.Is(err, errTree):
		return damaged(path, err)
	}
	return fmt.Errorf("open ledger %s: %w", path, err)
}

func damaged(path string, err error) error {
	return fault.New(fault.Terminal, CodeDamaged, fmt.Errorf("%s is damaged or not a ledger: %w; restore a copy, or move it away and the controller starts from the tags in the account", path, err))
}

// Load returns the service's record, and a zero one where there is none. A record of a newer schema is a terminal error:
// an older controller must not act on what it does not understand.
func (f *File) Load(ctx context.Context, service string) (rollout.Record, error) {
	var rec rollout.Record
	err := f.view(ctx, func(tx *bbolt.Tx) (err error) {
		rec, err = f.load(tx, service)
		return err
	})
	if err != nil {
		return rollout.Record{}, fmt.Errorf("load the record of %s from %s: %w", service, f.path, err)
	}
	return rec, nil
}

// Services returns the names of all services that have a record, sorted.
func (f *File) Services(ctx context.Context) ([]string, error) {
	var names []string
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket(recordsBucket).ForEach(func(name, _ []byte) error {
			names = append(names, string(name))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list the services in %s: %w", f.path, err)
	}
	return names, nil
}

// Records shows visit every record in order of service; err is that of one record that cannot be read, as Load words it.
func (f *File) Records(ctx context.Context, visit func(service string, rec rollout.Record, err error)) error {
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket(recordsBucket).ForEach(func(name, data []byte) error {
			rec, err := f.decode(tx, data, string(name))
			if err != nil {
				err = fmt.Errorf("load the record of %s from %s: %w", name, f.path, err)
			}
			visited(func() { visit(string(name), rec, err) })
			return nil
		})
	})
	f.letGo() // of pages that are not looked at again: what was read is kept decoded
	if err != nil {
		return fmt.Errorf("read the records in %s: %w", f.path, err)
	}
	return nil
}

// Environment returns the environment that was kept last, nil where there is none.
func (f *File) Environment(ctx context.Context) (*desired.Environment, error) {
	var env *desired.Environment
	err := f.view(ctx, func(tx *bbolt.Tx) (err error) {
		data := tx.Bucket(metaBucket).Get(environKey)
		if data == nil {
			return nil
		}
		env, err = DecodeEnvironment(data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the environment of ledger %s: %w", f.path, err)
	}
	return env, nil
}

// KeepEnvironment keeps the newest valid environment, so that a controller that starts while git is away knows under which
// policy it goes on.
func (f *File) KeepEnvironment(ctx context.Context, env *desired.Environment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, err := json.Marshal(env)
	if err == nil {
		err = f.write(func(tx *bbolt.Tx) error {
			return sealing(tx, func(s *seal) error {
				meta := tx.Bucket(metaBucket)
				if meta.Get(environKey) == nil {
					s.turn("environment")
				}
				return meta.Put(environKey, data)
			})
		})
	}
	if err != nil {
		return fmt.Errorf("keep the environment in ledger %s: %w", f.path, err)
	}
	return nil
}

// LockHolder returns the service that holds a migration lock, empty where none does.
func (f *File) LockHolder(ctx context.Context, lock string) (string, error) {
	var holder string
	err := f.view(ctx, func(tx *bbolt.Tx) error {
		holder = string(tx.Bucket(locksBucket).Get([]byte(lock)))
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read the holder of lock %s from %s: %w", lock, f.path, err)
	}
	return holder, nil
}

// sequence is a number as a key: in order of the numbers.
func sequence(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
