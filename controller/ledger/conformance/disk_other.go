//go:build !linux

package conformance

import (
	"errors"
	"testing"
)

const onlyLinux = "small and failing disks are mounted on Linux alone"

// Mount is an error.
func Mount(string, string) (func(), error) { return nil, errors.ErrUnsupported }

// FillDisk is an error.
func FillDisk(string) (string, error) { return "", errors.ErrUnsupported }

// SmallDisk skips the test.
func SmallDisk(t testing.TB, _ string) string { t.Skip(onlyLinux); return "" }

// Fill skips the test.
func Fill(t testing.TB, _ string) func() { t.Skip(onlyLinux); return nil }

// ReadOnly skips the test.
func ReadOnly(t testing.TB, _ string) string { t.Skip(onlyLinux); return "" }

// FailingDisk skips the test.
func FailingDisk(t testing.TB) (string, func(), func()) { t.Skip(onlyLinux); return "", nil, nil }
