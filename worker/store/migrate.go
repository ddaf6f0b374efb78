package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

const (
	// lockTries bounds, in seconds, the wait for another migration to end. With statementTimeout it stays below the
	// ten minutes that the controller gives a migration task by default.
	lockTries        = 120
	statementTimeout = 4 * time.Minute
	// lockTimeout keeps an ALTER TABLE from queueing behind a long query, and every request behind it.
	lockTimeout = 5 * time.Second
	clientCheck = 2 * time.Second
)

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string // file name
	Applied bool
	Took    time.Duration // of a step that Up applied
}

// SchemaError says that the database lacks a migration that this program needs.
type SchemaError struct{ Have, Need int64 }

// Error says what to do.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("the schema is at version %d, this program needs %d: run `worker migrate` first", e.Have, e.Need)
}

// Needed is the schema version that this program needs: its newest migration. A newer schema serves as well, because
// migrations are backward compatible.
func (s Source) Needed() (int64, error) {
	all, err := s.embedded()
	if err != nil {
		return 0, err
	}
	return all[len(all)-1].Version, nil
}

// embedded lists the migrations of the dialect, oldest first; there is at least one.
func (s Source) embedded() ([]Migration, error) {
	folder, err := s.folder()
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(folder, "*.sql") // sorted, and the numbers have leading zeros
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var all []Migration
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		all = append(all, Migration{Version: version, Name: name})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no migrations for %s", s)
	}
	return all, nil
}

func (s Source) folder() (fs.FS, error) {
	name := "migrations/postgres"
	if s.dialect == database.DialectSQLite3 {
		name = "migrations/sqlite"
	}
	return fs.Sub(migrations, name)
}

// Up applies every migration that the database lacks and returns those it applied, also when one of them fails: the
// failed one is rolled back, the ones before it stay. It is idempotent, and of several at once, on any machine, one
// works and the others wait for it (at most two minutes), then find nothing to do.
func (s Source) Up(ctx context.Context) ([]Migration, error) {
	db, err := s.openForMigration()
	if err != nil {
		return nil, err
	}
	applied, err := s.up(ctx, db)
	return applied, errors.Join(err, db.Close())
}

func (s Source) up(ctx context.Context, db *sql.DB) ([]Migration, error) {
	folder, err := s.folder()
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)), // the results say it all
	}
	if s.dialect == database.DialectPostgres {
		// PostgreSQL drops the advisory lock with the session, so a killed migration leaves nothing behind.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockTries))
		if err != nil {
			return nil, fmt.Errorf("make the migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	} else {
		unlock, err := lockSQLite(ctx, s.path)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	provider, err := goose.NewProvider(s.dialect, db, folder, options...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		results, err = partial.Applied, fmt.Errorf("migration %s: %w", path.Base(partial.Failed.Source.Path), partial.Err)
	} else if err != nil {
		err = fmt.Errorf("migrate %s: %w", s, err)
	}
	applied := make([]Migration, len(results))
	for i, r := range results {
		applied[i] = Migration{Version: r.Source.Version, Name: path.Base(r.Source.Path), Applied: true, Took: r.Duration}
	}
	return applied, err
}

func (s Source) openForMigration() (*sql.DB, error) {
	// Two connections: goose holds one for the session lock.
	db, err := s.forMigration(session{name: "worker migrate", create: true, params: map[string]string{
		"statement_timeout": fmt.Sprint(statementTimeout.Milliseconds()),
		"lock_timeout":      fmt.Sprint(lockTimeout.Milliseconds()),
		// A task that was stopped must not leave a statement behind that holds locks: the server looks this often whether
		// anybody still waits for its answer (PostgreSQL 14 and newer).
		"client_connection_check_interval": fmt.Sprint(clientCheck.Milliseconds()),
	}}, 2)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s, err)
	}
	return db, nil
}

// lockSQLite lets one process migrate the file at a time. SQLite has no session lock, and a migration opens and commits
// transactions of its own, so the lock is an exclusive transaction on a second file beside it, which the operating
// system ends with the process.
func lockSQLite(ctx context.Context, file string) (unlock func(), err error) {
	wait := time.Duration(lockTries) * time.Second
	db, err := sql.Open("sqlite", fmt.Sprintf("%s?_txlock=exclusive&_error_rc=1&_pragma=busy_timeout(%d)",
		sqliteURI(file+".migrate.db"), wait.Milliseconds()))
	if err != nil {
		return nil, fmt.Errorf("lock %s for migration: %w", file, err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s for migration: %w", file, err), db.Close())
	}
	return func() {
		// Nothing was written, and the lock goes with the connection whatever these two answer.
		_ = tx.Rollback()
		_ = db.Close()
	}, nil
}

// Status lists this program's migrations, oldest first, and tells which of them the database has. It changes nothing.
func (s Source) Status(ctx context.Context) (_ []Migration, err error) {
	all, err := s.embedded()
	if err != nil {
		return nil, err
	}
	db, err := s.open(session{name: "worker migrate"}, 1, func(error) {})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s, err)
	}
	defer func() { err = errors.Join(err, db.close()) }()
	versions, err := s.applied(ctx, db)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Applied = versions[all[i].Version]
	}
	return all, nil
}

// CheckSchema returns nil if the database has every migration that this program needs, a *SchemaError if it lacks one,
// and order.ErrUnavailable if it does not answer. It changes nothing.
func (s *Store) CheckSchema(ctx context.Context) error {
	all, err := s.source.embedded()
	if err != nil {
		return err
	}
	versions, err := s.source.applied(ctx, s.db)
	if err != nil {
		return err
	}
	have := int64(0)
	for _, m := range all {
		if !versions[m.Version] {
			return &SchemaError{Have: have, Need: all[len(all)-1].Version}
		}
		have = m.Version
	}
	return nil
}

// applied reads which migrations the database has. Unlike goose's Provider it does not create goose's table.
func (s Source) applied(ctx context.Context, db querier) (map[int64]bool, error) {
	versions := map[int64]bool{}
	exists := `SELECT to_regclass('` + goose.DefaultTablename + `') IS NOT NULL`
	if s.dialect == database.DialectSQLite3 {
		exists = `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '` + goose.DefaultTablename + `')`
	}
	var found bool
	if _, err := one(ctx, db, []any{&found}, exists); missingFile(err) {
		return versions, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the schema version of %s: %w", s, classify(err))
	}
	if !found {
		return versions, nil
	}
	err := each(ctx, db, func(scan func(...any) error) error {
		var version int64
		var done bool
		if err := scan(&version, &done); err != nil {
			return err
		}
		versions[version] = done // the newest word about a version comes last
		return nil
	}, `SELECT version_id, is_applied FROM `+goose.DefaultTablename+` ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read the schema version of %s: %w", s, classify(err))
	}
	return versions, nil
}

// Grant lets a role, the one that serves, read and write what the migrations made, and change none of it. It is
// idempotent, and does nothing for the role "" and for SQLite.
func (s Source) Grant(ctx context.Context, role string) (err error) {
	if role == "" || s.dialect == database.DialectSQLite3 {
		return nil
	}
	db, err := s.open(session{name: "worker migrate", params: map[string]string{"lock_timeout": fmt.Sprint(lockTimeout.Milliseconds())}}, 1, func(error) {})
	if err != nil {
		return fmt.Errorf("open %s: %w", s, err)
	}
	defer func() { err = errors.Join(err, db.close()) }()
	to := pgx.Identifier{role}.Sanitize()
	var list []statement
	err = each(ctx, db, func(scan func(...any) error) error {
		var schema, table string
		if err := scan(&schema, &table); err != nil {
			return err
		}
		rights := "SELECT, INSERT, UPDATE, DELETE"
		if table == goose.DefaultTablename {
			rights = "SELECT"
		}
		if len(list) == 0 {
			list = append(list, statement{query: "GRANT USAGE ON SCHEMA " + pgx.Identifier{schema}.Sanitize() + " TO " + to})
		}
		list = append(list, statement{query: "GRANT " + rights + " ON " + pgx.Identifier{schema, table}.Sanitize() + " TO " + to})
		return nil
	}, `SELECT schemaname::text, tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tableowner = current_user ORDER BY tablename`)
	if err == nil {
		err = db.all(ctx, list)
	}
	if err != nil {
		return fmt.Errorf("grant the tables of %s to %s: %w", s, role, classify(err))
	}
	return nil
}
