package store

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

const (
	// PoolDefault bounds the connections of one process, so that tasks × PoolDefault stays below what a small RDS instance
	// takes (max_connections is about 112 at 1 GiB). Two tasks of a rollout run beside each other.
	PoolDefault = 10
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
	// roots are the authorities that may sign the server's certificate; nil leaves it to the DSN's sslmode.
	roots *x509.CertPool
	trace pgx.QueryTracer // of tests
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

// session is what one use of the database asks of its connections.
type session struct {
	name   string            // application_name in pg_stat_activity
	params map[string]string // PostgreSQL run-time parameters; the URL's own win
	create bool              // SQLite: create the file, and turn WAL on
}

// forMigration prepares database/sql, which goose wants, with at most conns connections; nothing is sent before the first use.
func (s Source) forMigration(use session, conns int) (*sql.DB, error) {
	var db *sql.DB
	if s.dialect == database.DialectSQLite3 {
		lite, err := s.openSQLite(use)
		if err != nil {
			return nil, err
		}
		db = lite
	} else {
		cfg, err := s.postgresConfig(use)
		if err != nil {
			return nil, err
		}
		db = stdlib.OpenDB(*cfg.ConnConfig)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// open prepares connections for serving, at most conns of them; nothing is sent before the first use.
func (s Source) open(use session, conns int, refused func(error)) (pool, error) {
	if s.dialect == database.DialectPostgres {
		return s.postgresPool(use, conns, refused)
	}
	db, err := s.openSQLite(use)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return &litePool{db}, nil
}

func (s Source) openSQLite(use session) (*sql.DB, error) {
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

func (s Source) postgresConfig(use session) (*pgxpool.Config, error) {
	pooled, err := pgxpool.ParseConfig(s.dsn)
	if err != nil {
		return nil, errors.New("the PostgreSQL URL is not valid")
	}
	cfg := pooled.ConnConfig
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.Tracer = s.trace
	params := map[string]string{"application_name": use.name}
	for name, value := range use.params {
		params[name] = value
	}
	for name, value := range params {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
	if s.roots != nil {
		s.verify(cfg)
	}
	return pooled, nil
}

// verify makes each way to the server one over TLS that is signed by our authorities for the host's name (libpq's
// verify-full), whatever sslmode says: who names an authority wants it asked.
func (s Source) verify(cfg *pgx.ConnConfig) {
	secure := func(host string) *tls.Config {
		return &tls.Config{RootCAs: s.roots, ServerName: host, MinVersion: tls.VersionTLS12}
	}
	cfg.TLSConfig = secure(cfg.Host)
	ways := cfg.Fallbacks
	cfg.Fallbacks = nil
	seen := map[string]bool{net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)): true}
	for _, way := range ways {
		if at := net.JoinHostPort(way.Host, fmt.Sprint(way.Port)); !seen[at] { // not the same one again without TLS
			seen[at] = true
			cfg.Fallbacks = append(cfg.Fallbacks, &pgconn.FallbackConfig{Host: way.Host, Port: way.Port, TLSConfig: secure(way.Host)})
		}
	}
}

// sqliteURI escapes what would end the path of a URI file name (https://www.sqlite.org/uri.html).
func sqliteURI(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath()
}
