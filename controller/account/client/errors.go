package client

import (
	"errors"
	"fmt"
	"net"
)

// WriteError is a writing request that was sent, or nearly, and did not succeed.
type WriteError struct {
	Operation string
	// Sent is false only where it is certain that nothing left this machine: the connection could not be opened.
	Sent bool
	Err  error
}

func (e *WriteError) Error() string { return e.Err.Error() }
func (e *WriteError) Unwrap() error { return e.Err }

// BudgetError is a request that was not sent because its budget would not have had a place for it in time.
type BudgetError struct {
	Bucket string
	Err    error
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the controller's own budget for %s is spent: %v", e.Bucket, e.Err)
}
func (e *BudgetError) Unwrap() error { return e.Err }

// ReadOnlyError is a writing operation that was refused because the clients are read-only. Nothing was sent.
type ReadOnlyError struct{ Operation string }

func (e *ReadOnlyError) Error() string {
	return e.Operation + " changes the account, and these clients only read"
}

// neverOpened reports whether the connection could not be opened, so that nothing was sent.
func neverOpened(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	return errors.As(err, &dns)
}
