package store

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

var update = flag.Bool("update", false, "write testdata/queries of this release anew")

// asked is one statement that a release sent, and how many rows it read or changed.
type asked struct {
	SQL  string `json:"sql"`
	Args []any  `json:"args,omitempty"`
	Rows int64  `json:"rows"`
}

// recorder is a pgx tracer that writes down what is sent.
type recorder struct {
	mu  sync.Mutex
	all []asked
}

func (r *recorder) add(sql string, args []any, rows int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	args = slices.DeleteFunc(slices.Clone(args), func(a any) bool { _, ok := a.(pgx.QueryResultFormats); return ok })
	r.all = append(r.all, asked{strings.Join(strings.Fields(sql), " "), args, rows})
}

type startKey struct{}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, startKey{}, d)
}

func (r *recorder) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	start, _ := ctx.Value(startKey{}).(pgx.TraceQueryStartData)
	r.add(start.SQL, start.Args, d.CommandTag.RowsAffected())
}

func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (r *recorder) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	r.add(d.SQL, d.Args, d.CommandTag.RowsAffected())
}

func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// serveOnce uses everything that serves, so that each statement of this release is sent at least once.
func serveOnce(t *testing.T, s *Store) {
	t.Helper()
	check := func(deed string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", deed, err)
		}
	}
	check("ping", s.Ping(t.Context()))
	check("schema", s.CheckSchema(t.Context()))
	first := place(t, s, "key-1", order.Line{Item: "fish", Quantity: 3}, order.Line{Item: "bread", Quantity: 6})
	again := order.Draft{School: "north", Date: "2099-12-01", Lines: []order.Line{{Item: "fish", Quantity: 3}, {Item: "bread", Quantity: 6}}}
	_, created, err := s.Place(t.Context(), "key-1", again)
	if err != nil || created {
		t.Fatalf("repeat: %v, created %v", err, created)
	}
	second := place(t, s, "key-2", order.Line{Item: "fish", Quantity: 1})
	_, _, err = s.List(t.Context(), "north", "2099-12-01", "", 10)
	check("list", err)
	_, err = s.Publish(t.Context(), 10, func(_ context.Context, e []order.Event) ([]bool, error) { return []bool{true, true}[:len(e)], nil })
	check("publish", err)
	_, _, err = s.Backlog(t.Context())
	check("backlog", err)
	for _, kind := range []string{"placed", "preparing", "ready"} {
		apply(t, s, event(first, kind), true)
	}
	apply(t, s, event(second, "placed"), true)
	apply(t, s, event(second, "cancelled"), true)
	// The way of an order of an older release.
	_, err = s.db.exec(t.Context(), `INSERT INTO orders (id, school, date, created_at) VALUES ($1, $2, $3, $4)`, strings.Repeat("B", 26), "north", "2099-12-01", now())
	check("older release", err)
	_, err = s.TakeUp(t.Context(), "2026-01-01", 10)
	check("take up", err)
}

func record(t *testing.T) []asked {
	t.Helper()
	source := Postgres(pgtest.URL(t))
	if _, err := source.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	source.trace = r
	s := open(t, source)
	serveOnce(t, s)
	return r.all
}

func queriesFile(version int64) string {
	return filepath.Join("testdata", "queries", fmt.Sprintf("%05d.json", version))
}

// What this release sends is written down, for the releases after it to be held against. A release that changes a query
// without a migration writes the same file anew: both then run on one schema anyway.
func TestQueriesOfThisReleaseAreWrittenDown(t *testing.T) {
	needed, err := Postgres("").Needed()
	if err != nil {
		t.Fatal(err)
	}
	got := record(t)
	if *update {
		var out bytes.Buffer
		out.WriteString("[\n")
		for i, a := range got {
			line, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(line)
			if i < len(got)-1 {
				out.WriteString(",")
			}
			out.WriteString("\n")
		}
		out.WriteString("]\n")
		if err := os.WriteFile(queriesFile(needed), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	texts := func(all []asked) (unique []string) {
		for _, a := range all {
			unique = append(unique, a.SQL)
		}
		slices.Sort(unique)
		return slices.Compact(unique)
	}
	if diff := cmp.Diff(texts(read(t, queriesFile(needed))), texts(got)); diff != "" {
		t.Errorf("statements changed; write them down anew: go test ./worker/store -run TestQueriesOfThisRelease -update\n(-written +sent):\n%s", diff)
	}
}

func read(t *testing.T, file string) []asked {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []asked
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	if err := in.Decode(&all); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, a := range all {
		for i, arg := range a.Args {
			if n, ok := arg.(json.Number); ok {
				if a.Args[i], err = n.Int64(); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
			}
		}
	}
	return all
}

// The tasks of an older release serve on while and after the newer one migrates. Each statement that such a release sent,
// with its arguments and in its transactions, must do on this schema what it did on its own.
func TestQueriesOfOlderReleasesWorkOnThisSchema(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "queries", "*.json"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files of queries, error %v", len(files), err)
	}
	onBoth(t, func(t *testing.T, source Source) {
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				s := source
				if s.path != "" {
					s = SQLite(filepath.Join(t.TempDir(), "orders.db"))
				} else {
					s = Postgres(pgtest.URL(t))
				}
				replayOn(t, migrated(t, s), s.path != "", read(t, file))
			})
		}
	})
}

// postgresOnly is what SQLite is asked in other words: about goose's table, and for PostgreSQL's locks.
var postgresOnly = regexp.MustCompile(`goose_db_version|pg_try_advisory`)

func replayOn(t *testing.T, s *Store, lite bool, all []asked) {
	t.Helper()
	var inside tx
	for _, a := range all {
		var err error
		rows := int64(0)
		from := querier(s.db)
		if inside != nil {
			from = inside
		}
		switch word, _, _ := strings.Cut(a.SQL, " "); {
		case word == "begin":
			inside, err = s.db.begin(t.Context())
		case word == "commit":
			err = inside.commit(t.Context())
			inside = nil
		case word == "rollback":
			inside.rollback(t.Context())
			inside = nil
		case postgresOnly.MatchString(a.SQL) && (lite || strings.Contains(a.SQL, "version_id")):
			continue // the number of migrations is meant to grow
		case word == "SELECT":
			err = each(t.Context(), from, func(func(...any) error) error { rows++; return nil }, a.SQL, a.Args...)
		default:
			rows, err = from.exec(t.Context(), a.SQL, a.Args...)
		}
		if err != nil || rows != a.Rows {
			t.Errorf("%s %v: %d rows, error %v, want %d", a.SQL, a.Args, rows, err, a.Rows)
		}
	}
}
