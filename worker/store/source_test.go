package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/canteen/deploy/worker/order"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestFromEnv(t *testing.T) {
	const password = "p@ss:/?#%w"
	for name, tc := range map[string]struct {
		env  map[string]string
		want string // what String shows
		err  string // part of the error
	}{
		"nothing":         {nil, "sqlite orders.db", ""},
		"file":            {map[string]string{"SQLITE_PATH": "/data/o.db"}, "sqlite /data/o.db", ""},
		"url":             {map[string]string{"DATABASE_URL": "postgres://u:secret@db:6432/orders", "SQLITE_PATH": "x"}, "postgres db:6432/orders", ""},
		"parts":           {map[string]string{"DB_HOST": "db", "DB_NAME": "orders", "DB_USER": "u", "DB_PASSWORD": password}, "postgres db:5432/orders", ""},
		"port":            {map[string]string{"DB_HOST": "db", "DB_PORT": "6432", "DB_NAME": "orders", "DB_USER": "u", "DB_PASSWORD": password}, "postgres db:6432/orders", ""},
		"IPv6":            {map[string]string{"DB_HOST": "::1", "DB_NAME": "orders", "DB_USER": "u", "DB_PASSWORD": password}, "postgres [::1]:5432/orders", ""},
		"host missing":    {map[string]string{"DB_NAME": "orders", "DB_USER": "u", "DB_PASSWORD": password}, "", "without DB_HOST"},
		"password only":   {map[string]string{"DB_PASSWORD": password}, "", "without DB_HOST, DB_NAME, DB_USER"},
		"other database":  {map[string]string{"DATABASE_URL": "mysql://u:secret@db/orders"}, "", "must start with postgres://"},
		"broken url":      {map[string]string{"DATABASE_URL": "postgres://u:sec%ret@db/orders"}, "", "percent-encoded"},
		"broken port":     {map[string]string{"DB_HOST": "db", "DB_PORT": "x", "DB_NAME": "o", "DB_USER": "u", "DB_PASSWORD": password}, "", "a port number"},
		"unknown sslmode": {map[string]string{"DB_HOST": "db", "DB_SSLMODE": "on", "DB_NAME": "o", "DB_USER": "u", "DB_PASSWORD": password}, "", "sslmode"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromEnv(func(key string) string { return tc.env[key] })
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
			} else if err != nil || got.String() != tc.want {
				t.Fatalf("FromEnv = %s, error %v, want %s", got, err, tc.want)
			}
			for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", got, got, got, got), fmt.Sprint(err)} {
				for _, secret := range []string{"secret", "sec%ret", password, "p%40ss"} {
					if strings.Contains(shown, secret) {
						t.Errorf("%q shows the password", shown)
					}
				}
			}
		})
	}
}

func TestTransientErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"deadline":            {fmt.Errorf("query: %w", context.DeadlineExceeded), true},
		"cancelled by client": {context.Canceled, false},
		"lost connection":     {driver.ErrBadConn, true},
		"statement timeout":   {&pgconn.PgError{Code: "57014"}, true},
		"lock timeout":        {&pgconn.PgError{Code: "55P03"}, true},
		"too many clients":    {&pgconn.PgError{Code: "53300"}, true},
		"shutting down":       {&pgconn.PgError{Code: "57P01"}, true},
		"deadlock":            {&pgconn.PgError{Code: "40P01"}, true},
		"no such table":       {&pgconn.PgError{Code: "42P01"}, false},
		"wrong password":      {&pgconn.PgError{Code: "28P01"}, false},
		"constraint":          {&pgconn.PgError{Code: "23505"}, false},
		"no code":             {&pgconn.PgError{}, false},
		"a defect":            {errors.New("scan: wrong type"), false},
	} {
		t.Run(name, func(t *testing.T) {
			got := classify(tc.err)
			if errors.Is(got, order.ErrUnavailable) != tc.want || !errors.Is(got, tc.err) {
				t.Errorf("classify = %v, want unavailable: %v", got, tc.want)
			}
		})
	}
}
