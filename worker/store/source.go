package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

const (
	// connsMax bounds the connections of one process, so that tasks × connsMax stays below what a small RDS instance
	// takes (max_connections is about 112 at 1 GiB).
	connsMax = 10
	// connectTimeout ends an attempt to connect to a database that does not answer.
	connectTimeout = 5 * time.Second
	// busyTimeout is how long a SQLite connection waits for another process's write. It stays below the time that a
	// request has, so that the client gets an answer.
	busyTimeout = 4 * time.Second
)

// Source says which database to use. The zero value is not usable: take one from FromEnv, Postgres or SQLite. It may
// be printed: String shows no password.
type Source struct {
	dialect database.Dialect
	dsn     string // Postgres: may hold the password
	path    string // SQLite
}

// Postgres names a PostgreSQL database by a URL (postgres://…) as libpq understands it.
func Postgres(dsn string) Source { return Source{dialect: database.DialectPostgres, dsn: dsn} }

// SQLite names a database file. Several processes may share it on one machine; never over a network file system
// (https://www.sqlite.org/wal.html).
func SQLite(path string) Source { return Source{dialect: database.DialectSQLite3, path: path} }

// String names the database without credentials.
func (s Source) String() string {
	if s.dialect == database.DialectSQLite3 {
		return "sqlite " + s.path
	}
	cfg, err := pgx.ParseConfig(s.dsn)
	if err != nil {
		return "postgres"
	}
	return fmt.Sprintf("postgres %s/%s", net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)), cfg.Database)
}

// GoString keeps %#v from printing the password.
func (s Source) GoString() string { return s.String() }

// FromEnv chooses the database: DATABASE_URL, else DB_HOST, DB_PORT (5432), DB_NAME, DB_USER, DB_PASSWORD and
// DB_SSLMODE (require), else the SQLite file SQLITE_PATH (orders.db). Some of the DB_ parts without the others are an
// error: a task that lost its DB_HOST must not quietly take orders into a file that dies with it. A SQLITE_PATH that is
// set without DB_HOST is a clear word, whatever other parts an environment's template brings along.
func FromEnv(getenv func(string) string) (Source, error) {
	if dsn := getenv("DATABASE_URL"); dsn != "" {
		if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
			return Source{}, errors.New("DATABASE_URL must start with postgres:// or postgresql://")
		}
		if _, err := pgx.ParseConfig(dsn); err != nil {
			// The parser's own message repeats parts of the URL, which holds the password.
			return Source{}, errors.New("DATABASE_URL is not a valid PostgreSQL URL: postgres://user:password@host:port/name, special characters percent-encoded")
		}
		return Postgres(dsn), nil
	}
	var given, missing []string
	for _, name := range []string{"DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD"} {
		if getenv(name) != "" {
			given = append(given, name)
		} else {
			missing = append(missing, name)
		}
	}
	switch {
	case len(given) == 0, getenv("SQLITE_PATH") != "" && getenv("DB_HOST") == "":
		return SQLite(orDefault(getenv("SQLITE_PATH"), "orders.db")), nil
	case len(missing) > 0:
		return Source{}, fmt.Errorf("%s set without %s: set all of them, or DATABASE_URL, or none for SQLite",
			strings.Join(given, ", "), strings.Join(missing, ", "))
	}
	dsn := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(getenv("DB_USER"), getenv("DB_PASSWORD")),
		Host:     net.JoinHostPort(getenv("DB_HOST"), orDefault(getenv("DB_PORT"), "5432")),
		Path:     "/" + getenv("DB_NAME"),
		RawQuery: url.Values{"sslmode": {orDefault(getenv("DB_SSLMODE"), "require")}}.Encode(),
	}
	if _, err := pgx.ParseConfig(dsn.String()); err != nil {
		return Source{}, errors.New("DB_HOST, DB_PORT and DB_SSLMODE do not make a valid PostgreSQL address: a host name, a port number, a libpq sslmode")
	}
	return Postgres(dsn.String()), nil
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// session is what one use of the database asks of its connections.
type session struct {
	name   string            // application_name in pg_stat_activity
	params map[string]string // PostgreSQL run-time parameters; the URL's own win
	create bool              // SQLite: create the file, and turn WAL on
}

// open prepares a pool of at most conns connections; nothing is sent before the first use.
func (s Source) open(use session, conns int) (*sql.DB, error) {
	db, err := s.pool(use)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	// After a failover, and for load balancers in front of the database, connections must not live for ever.
	db.SetConnMaxLifetime(30 * time.Minute)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}

func (s Source) pool(use session) (*sql.DB, error) {
	if s.dialect == database.DialectSQLite3 {
		query := url.Values{
			"mode": {"rw"}, "_txlock": {"immediate"}, "_time_format": {"sqlite"}, "_error_rc": {"1"},
			"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "foreign_keys(1)"},
		}
		if use.create {
			query.Set("mode", "rwc")
			query.Add("_pragma", "journal_mode(WAL)") // lasts in the file
		}
		return sql.Open("sqlite", sqliteURI(s.path)+"?"+query.Encode())
	}
	cfg, err := pgx.ParseConfig(s.dsn)
	if err != nil {
		return nil, errors.New("the PostgreSQL URL is not valid")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	params := map[string]string{"application_name": use.name}
	for name, value := range use.params {
		params[name] = value
	}
	for name, value := range params {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
	return stdlib.OpenDB(*cfg), nil
}

// sqliteURI escapes what would end the path of a URI file name (https://www.sqlite.org/uri.html).
func sqliteURI(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath()
}
