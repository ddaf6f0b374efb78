package store

import "context"

// What the statements need of a database, the same for both: they are written once, with $1, $2 … for arguments.
type (
	querier interface {
		// exec returns how many rows the statement changed.
		exec(ctx context.Context, query string, args ...any) (int64, error)
		// query's rows must be closed.
		query(ctx context.Context, query string, args ...any) (rows, error)
		// all runs statements one after another and stops at the first that fails; PostgreSQL gets them in one message.
		all(ctx context.Context, list []statement) error
	}
	rows interface {
		Next() bool
		Scan(into ...any) error
		Err() error
		Close() error
	}
	tx interface {
		querier
		// execThenQuery is exec and query; PostgreSQL gets both in one message. The rows must be closed.
		execThenQuery(ctx context.Context, first, then statement) (int64, rows, error)
		// commit runs the last statements, if any, and ends the transaction; PostgreSQL gets all that in one message.
		commit(ctx context.Context, last ...statement) error
		// rollback ends the transaction whatever became of ctx; after commit it does nothing.
		rollback(ctx context.Context)
	}
	pool interface {
		querier
		begin(ctx context.Context) (tx, error)
		stats() Stats
		close() error
	}
	statement struct {
		query string
		args  []any
	}
)

// Stats is the state of the connections that serve orders.
type Stats struct {
	Max, InUse, Idle int
	// Waits counts how often somebody had to wait for one since the start; WaitSeconds is how long they did.
	Waits       int64
	WaitSeconds float64
}

// one reads the only row of a query; found is false if there is none.
func one(ctx context.Context, from querier, into []any, query string, args ...any) (found bool, err error) {
	rs, err := from.query(ctx, query, args...)
	if err != nil {
		return false, err
	}
	if rs.Next() {
		found, err = true, rs.Scan(into...)
	}
	return found, firstOf(err, rs.Err(), rs.Close())
}

// each reads all rows of a query.
func each(ctx context.Context, from querier, row func(scan func(...any) error) error, query string, args ...any) error {
	rs, err := from.query(ctx, query, args...)
	if err != nil {
		return err
	}
	return eachOf(rs, row)
}

// eachOf reads all rows, and closes them.
func eachOf(rs rows, row func(scan func(...any) error) error) (err error) {
	for err == nil && rs.Next() {
		err = row(rs.Scan)
	}
	return firstOf(err, rs.Err(), rs.Close())
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
