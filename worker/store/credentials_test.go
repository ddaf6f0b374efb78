package store

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/jackc/pgx/v5"
)

func environment(all map[string]string) func(string) string {
	return func(name string) string { return all[name] }
}

func run(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// secured is a server with TLS and passwords, a role that owns the schema and one that serves.
func secured(t *testing.T) (server *pgtest.Server, ca string, env map[string]string) {
	t.Helper()
	rootPEM, certificate, key := pgtest.Authority(t)
	server = pgtest.Start(t)
	port := server.Secure(certificate, key)
	run(t, server.URL, `CREATE ROLE owner LOGIN PASSWORD 'owner-1'`, `CREATE ROLE app LOGIN PASSWORD 'app-1'`, `CREATE DATABASE canteen OWNER owner`)
	return server, string(rootPEM), map[string]string{"DB_HOST": "localhost", "DB_PORT": strconv.Itoa(port), "DB_NAME": "canteen", "DB_USER": "app", "DB_PASSWORD": "app-1",
		"MIGRATE_DB_USER": "owner", "MIGRATE_DB_PASSWORD": "owner-1", "DB_CA": string(rootPEM)}
}

// The role that serves can do all that serving needs, and can change nothing of the schema.
func TestServingRoleCannotChangeTheSchema(t *testing.T) {
	_, _, env := secured(t)
	ddl, role, err := ForMigration(environment(env))
	if err != nil || role != "app" {
		t.Fatalf("role %q, error %v", role, err)
	}
	data, err := FromEnv(environment(env))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := data.Up(t.Context()); err == nil {
		t.Error("the serving role migrated")
	}
	if _, err := ddl.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := open(t, data)
	if err := s.Ping(t.Context()); err == nil {
		t.Error("the serving role reads before it was granted anything")
	}
	for range 2 { // idempotent
		if err := ddl.Grant(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	serveOnce(t, s)
	for _, statement := range []string{`ALTER TABLE orders ADD COLUMN x text`, `DROP TABLE orders`, `CREATE TABLE x (y text)`, `TRUNCATE orders`,
		`UPDATE goose_db_version SET is_applied = false`} {
		if _, err := s.db.exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") && !strings.Contains(err.Error(), "permission denied") && !strings.Contains(err.Error(), "must be owner") {
			t.Errorf("%s by the serving role: %v", statement, err)
		}
	}
}

// A named authority is asked, and the host's name with it, whatever sslmode says; another authority's server is refused.
func TestAuthorityIsAsked(t *testing.T) {
	_, ca, env := secured(t)
	other, _, _ := pgtest.Authority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(ca), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change map[string]string
		want   string // part of the error, "" for none
	}{
		"PEM":               {nil, ""},
		"file":              {map[string]string{"DB_CA": "", "DB_CA_FILE": file}, ""},
		"no authority":      {map[string]string{"DB_CA": ""}, ""}, // sslmode require encrypts, and asks nobody
		"other authority":   {map[string]string{"DB_CA": string(other)}, "unknown authority"},
		"other host name":   {map[string]string{"DB_HOST": "127.0.0.1"}, "cannot validate certificate for 127.0.0.1"},
		"weak mode":         {map[string]string{"DB_CA": string(other), "DB_SSLMODE": "prefer"}, "unknown authority"},
		"URL":               {map[string]string{"DATABASE_URL": "postgres://app:app-1@localhost:" + env["DB_PORT"] + "/canteen?sslmode=prefer", "DB_CA": string(other)}, "unknown authority"},
		"authority by URL":  {map[string]string{"DATABASE_URL": "postgres://app:app-1@localhost:" + env["DB_PORT"] + "/canteen?sslmode=verify-full&sslrootcert=" + file, "DB_CA": ""}, ""},
		"two hosts, no TLS": {map[string]string{"DATABASE_URL": "postgres://app:app-1@localhost:1,localhost:" + env["DB_PORT"] + "/canteen?sslmode=disable", "DB_CA": string(other)}, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := FromEnv(func(key string) string {
				if v, ok := tc.change[key]; ok {
					return v
				}
				return env[key]
			})
			if err != nil {
				t.Fatal(err)
			}
			s := open(t, source)
			var encrypted bool
			_, err = one(t.Context(), s.db, []any{&encrypted}, `SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`)
			if tc.want == "" && (err != nil || !encrypted) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("encrypted %v, error %v, want %q", encrypted, err, tc.want)
			}
		})
	}
	for _, bad := range []map[string]string{{"DB_CA": "no PEM"}, {"DB_CA_FILE": "/no/such/file"}} {
		_, err := FromEnv(func(key string) string {
			if v, ok := bad[key]; ok {
				return v
			}
			return env[key]
		})
		if err == nil || !strings.Contains(err.Error(), "DB_CA") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// A rotated password is told once, however many meet it.
func TestRefusedCredentialsAreTold(t *testing.T) {
	server, _, env := secured(t)
	ddl, role, err := ForMigration(environment(env))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ddl.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ddl.Grant(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	data, err := FromEnv(environment(env))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 10)
	s, err := Open(data, Options{PoolMax: 3, Refused: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	place(t, s, "before", order.Line{Item: "soup", Quantity: 1})
	run(t, server.URL, `ALTER ROLE app PASSWORD 'app-2'`, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`)
	for i := range 5 {
		if _, _, err := s.Place(t.Context(), "after", draft(1)); err == nil {
			t.Errorf("place %d with the old password succeeded", i)
		}
	}
	select {
	case err := <-told:
		if !CredentialsRefused(err) {
			t.Errorf("told %v", err)
		}
	default:
		t.Fatal("nobody was told")
	}
	if len(told) > 0 {
		t.Error("told twice")
	}
}

func TestMigrationCredentials(t *testing.T) {
	parts := map[string]string{"DB_HOST": "db", "DB_NAME": "orders", "DB_USER": "app", "DB_PASSWORD": "secret"}
	for name, tc := range map[string]struct {
		env             map[string]string
		want, role, err string
	}{
		"same for both":    {parts, "postgres db:5432/orders", "", ""},
		"parts":            {map[string]string{"MIGRATE_DB_USER": "owner", "MIGRATE_DB_PASSWORD": "secret"}, "postgres db:5432/orders", "app", ""},
		"of several users": {map[string]string{"MIGRATE_DB_USER": "owner", "MIGRATE_DB_PASSWORD": "secret", "MIGRATE_GRANT_TO": "group"}, "postgres db:5432/orders", "group", ""},
		"same user":        {map[string]string{"MIGRATE_DB_USER": "app", "MIGRATE_DB_PASSWORD": "secret"}, "postgres db:5432/orders", "", ""},
		"half":             {map[string]string{"MIGRATE_DB_USER": "owner"}, "", "", "belong together"},
		"url":              {map[string]string{"DATABASE_URL": "postgres://app:secret@db/o", "MIGRATE_DATABASE_URL": "postgres://owner:secret@db2/o"}, "postgres db2:5432/o", "app", ""},
		"url beside parts": {map[string]string{"MIGRATE_DATABASE_URL": "postgres://owner:secret@db2/o"}, "postgres db2:5432/o", "app", ""},
		"parts beside url": {map[string]string{"DATABASE_URL": "postgres://app:secret@db/o", "MIGRATE_DB_USER": "owner", "MIGRATE_DB_PASSWORD": "secret"}, "", "", "set MIGRATE_DATABASE_URL"},
		"bad url":          {map[string]string{"MIGRATE_DATABASE_URL": "mysql://secret"}, "", "", "MIGRATE_DATABASE_URL must start with"},
	} {
		t.Run(name, func(t *testing.T) {
			source, role, err := ForMigration(func(key string) string {
				if v, ok := tc.env[key]; ok {
					return v
				}
				return parts[key]
			})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "secret") {
					t.Errorf("error %v, want %q", err, tc.err)
				}
			} else if err != nil || source.String() != tc.want || role != tc.role {
				t.Errorf("%s for %q, error %v, want %s for %q", source, role, err, tc.want, tc.role)
			}
		})
	}
}

// A migration task that is killed must not leave a statement behind that holds its locks: the server notices by itself.
func TestServerNoticesThatAMigrationDied(t *testing.T) {
	source := Postgres(pgtest.URL(t))
	db, err := source.openForMigration()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var socket net.Conn
	sleeping := make(chan error, 1)
	if err := conn.Raw(func(driver any) error {
		socket = driver.(interface{ Conn() *pgx.Conn }).Conn().PgConn().Conn()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := conn.ExecContext(context.Background(), `SELECT pg_sleep(200)`)
		sleeping <- err
	}()
	count := func() (n int) {
		t.Helper()
		s := open(t, source)
		if _, err := one(t.Context(), s.db, []any{&n}, `SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(2%' AND state = 'active'`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for end := time.Now().Add(10 * time.Second); count() != 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the statement does not begin")
		}
	}
	if err := socket.Close(); err != nil { // as a killed process's is closed: without a word to the server
		t.Fatal(err)
	}
	for end := time.Now().Add(clientCheck + 10*time.Second); count() != 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server works on for nobody")
		}
	}
	if err := errors.Join(<-sleeping); err == nil {
		t.Error("the statement succeeded without its connection")
	}
}
