package store

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/database"
)

// FromEnv chooses the database: DATABASE_URL, else DB_HOST, DB_PORT (5432), DB_NAME, DB_USER, DB_PASSWORD and
// DB_SSLMODE (require), else the SQLite file SQLITE_PATH (orders.db). Some of the DB_ parts without the others are an
// error: a task that lost its DB_HOST must not quietly take orders into a file that dies with it. A SQLITE_PATH that is
// set without DB_HOST is a clear word, whatever other parts an environment's template brings along.
//
// DB_CA_FILE (a path) or DB_CA (PEM text, for a container without a volume) names the authorities of the server's
// certificate, such as RDS's bundle; with it every connection is verified, host name included.
func FromEnv(getenv func(string) string) (Source, error) {
	source, err := address(getenv)
	if err != nil || source.dialect == database.DialectSQLite3 {
		return source, err
	}
	source.roots, err = authorities(getenv)
	return source, err
}

// ForMigration is FromEnv for `worker migrate`: MIGRATE_DATABASE_URL, or MIGRATE_DB_USER and MIGRATE_DB_PASSWORD in place of
// DB_USER and DB_PASSWORD, are the credentials that may change the schema. role is whom the tables are for:
// MIGRATE_GRANT_TO, else the user of FromEnv's; "" if that is the same user or not known.
func ForMigration(getenv func(string) string) (_ Source, role string, _ error) {
	changed := map[string]string{}
	user, password := getenv("MIGRATE_DB_USER"), getenv("MIGRATE_DB_PASSWORD")
	switch {
	case getenv("MIGRATE_DATABASE_URL") != "":
		changed["DATABASE_URL"] = getenv("MIGRATE_DATABASE_URL")
	case (user == "") != (password == ""):
		return Source{}, "", errors.New("MIGRATE_DB_USER and MIGRATE_DB_PASSWORD belong together: set both, or none")
	case user != "" && getenv("DATABASE_URL") != "":
		return Source{}, "", errors.New("MIGRATE_DB_USER goes with DB_HOST; beside DATABASE_URL set MIGRATE_DATABASE_URL")
	case user != "":
		changed["DB_USER"], changed["DB_PASSWORD"] = user, password
	}
	source, err := FromEnv(func(name string) string { return cmp.Or(changed[name], getenv(name)) })
	if err != nil && changed["DATABASE_URL"] != "" {
		err = errors.New("MIGRATE_" + err.Error())
	}
	if err != nil || len(changed) == 0 || source.dialect == database.DialectSQLite3 {
		return source, "", err
	}
	role = getenv("DB_USER")
	if data := getenv("DATABASE_URL"); data != "" {
		cfg, err := pgx.ParseConfig(data)
		if err != nil {
			return Source{}, "", errors.New("DATABASE_URL is not a valid PostgreSQL URL")
		}
		role = cfg.User
	}
	role = cmp.Or(getenv("MIGRATE_GRANT_TO"), role)
	if own, err := pgx.ParseConfig(source.dsn); err == nil && own.User == role {
		role = ""
	}
	return source, role, nil
}

func authorities(getenv func(string) string) (*x509.CertPool, error) {
	name, text := "DB_CA", []byte(getenv("DB_CA"))
	if file := getenv("DB_CA_FILE"); file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("DB_CA_FILE: %w", err)
		}
		name = "DB_CA_FILE"
	}
	if len(text) == 0 {
		return nil, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate: it must be PEM text (-----BEGIN CERTIFICATE-----)", name)
	}
	return roots, nil
}

func address(getenv func(string) string) (Source, error) {
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
		return SQLite(cmp.Or(getenv("SQLITE_PATH"), "orders.db")), nil
	case len(missing) > 0:
		return Source{}, fmt.Errorf("%s set without %s: set all of them, or DATABASE_URL, or none for SQLite",
			strings.Join(given, ", "), strings.Join(missing, ", "))
	}
	dsn := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(getenv("DB_USER"), getenv("DB_PASSWORD")),
		Host:     net.JoinHostPort(getenv("DB_HOST"), cmp.Or(getenv("DB_PORT"), "5432")),
		Path:     "/" + getenv("DB_NAME"),
		RawQuery: url.Values{"sslmode": {cmp.Or(getenv("DB_SSLMODE"), "require")}}.Encode(),
	}
	if _, err := pgx.ParseConfig(dsn.String()); err != nil {
		return Source{}, errors.New("DB_HOST, DB_PORT and DB_SSLMODE do not make a valid PostgreSQL address: a host name, a port number, a libpq sslmode")
	}
	return Postgres(dsn.String()), nil
}
