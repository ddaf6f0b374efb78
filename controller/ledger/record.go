package ledger

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// What follows is common to the file and to every other ledger: what is kept, and what is refused in which words.

// HistoryMax is how many finished rollouts are kept for each service.
const HistoryMax = 200

// The codes of the errors that carry a kind.
const (
	CodeInUse    = "ledger_in_use"    // Blocked: another process holds the file
	CodeDamaged  = "ledger_damaged"   // Terminal: the ledger, or a record in it, cannot be read
	CodeSchema   = "ledger_schema"    // Terminal: a newer controller wrote it
	CodeTooLarge = "ledger_too_large" // Terminal: the record is larger than this ledger can keep
	CodeVersion  = "version"          // Conflict: the record was saved by somebody else meanwhile
	CodeLockHeld = "lock_held"        // Conflict: another service holds the migration lock
	CodeFenced   = "fenced"           // Conflict: whoever saves does not hold the lease any more
	// CodeUnwritten is of the embedded file's writes, and has no kind: the disk did not take it. Nothing of it was saved, and it may
	// be tried again as soon as there is room.
	CodeUnwritten = "ledger_unwritten"
)

// Check refuses a record that must not be saved: one that names no service, or one of a newer schema.
func Check(next rollout.Record) error {
	if next.Service == "" {
		return fault.New(fault.Terminal, CodeDamaged, errors.New("it names no service"))
	}
	return CheckSchema(int(next.Schema))
}

// CheckSchema refuses the schema of a record that a newer controller wrote.
func CheckSchema(schema int) error {
	if schema > rollout.Schema {
		return fault.New(fault.Terminal, CodeSchema, fmt.Errorf("the record has schema %d and this controller knows up to %d: run the controller that wrote it, or a newer one", schema, rollout.Schema))
	}
	return nil
}

// Overtaken is the error of a save that builds on another version than the stored one.
func Overtaken(on, stored uint64) error {
	return fault.New(fault.Conflict, CodeVersion, fmt.Errorf("it builds on version %d and the stored one is %d", on, stored))
}

// LockHeld is the error of a save that wants a lock which another service holds.
func LockHeld(lock, holder string) error {
	return fault.New(fault.Conflict, CodeLockHeld, fmt.Errorf("migration lock %s is held by %s", lock, holder))
}

// Decode reads a record. A newer schema is told before anything else that is wrong: what it means by the other members is not
// known.
func Decode(data []byte, service string) (rollout.Record, error) {
	var rec rollout.Record
	if err := json.Unmarshal(data, &rec); err != nil {
		var head struct {
			Schema int `json:"schema"`
		}
		if json.Unmarshal(data, &head) == nil && CheckSchema(head.Schema) != nil {
			return rollout.Record{}, CheckSchema(head.Schema)
		}
		return rollout.Record{}, fault.New(fault.Terminal, CodeDamaged, fmt.Errorf("it is not a record: %w", err))
	}
	if err := CheckSchema(int(rec.Schema)); err != nil {
		return rollout.Record{}, err
	}
	if rec.Service != service {
		return rollout.Record{}, fault.New(fault.Terminal, CodeDamaged, fmt.Errorf("it is the record of %q", rec.Service))
	}
	if rec.Version == 0 {
		return rollout.Record{}, fault.New(fault.Terminal, CodeDamaged, errors.New("it is not a record: it has no version, and each that was saved has one"))
	}
	lean(&rec)
	return rec, nil
}

// DecodeEntry reads an entry of the history.
func DecodeEntry(data []byte) (rollout.Entry, error) {
	var e rollout.Entry
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fault.New(fault.Terminal, CodeDamaged, fmt.Errorf("an entry cannot be read: %w", err))
	}
	return e, nil
}

// DecodeEnvironment reads an environment that was kept.
func DecodeEnvironment(data []byte) (*desired.Environment, error) {
	env := new(desired.Environment)
	if err := json.Unmarshal(data, env); err != nil {
		return nil, fault.New(fault.Terminal, CodeDamaged, fmt.Errorf("it is not an environment: %w", err))
	}
	if env.Spec.Account == "" {
		return nil, fault.New(fault.Terminal, CodeDamaged, errors.New("it is not an environment: it names no account, and each that was kept does"))
	}
	return env, nil
}
