package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/canteen/deploy/worker/order"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// classify marks an error that the same request may not meet again with order.ErrUnavailable; any other error is a
// defect of ours or of the schema and stays as it is.
func classify(err error) error {
	if transient(err) {
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	return err
}

func transient(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return transientState(pg.Code)
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff { // the primary code: https://www.sqlite.org/rescode.html
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL:
			return true
		}
		return false
	}
	// What is left of pgx's errors is the network's: refused, reset, name not found, connection lost halfway.
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err)
}

// transientState reads the class of a SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
func transientState(code string) bool {
	if code == "55P03" { // lock_not_available: lock_timeout passed
		return true
	}
	switch code[:min(2, len(code))] {
	case "08", // connection exception
		"40", // serialization failure, deadlock
		"53", // too many connections, disk full
		"57": // query canceled (statement_timeout), shutting down, starting up
		return true
	}
	return false
}

// missingFile tells that a SQLite file is not there, which to a reader is a database without any migration.
func missingFile(err error) bool {
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code()&0xff == sqlite3.SQLITE_CANTOPEN
}
