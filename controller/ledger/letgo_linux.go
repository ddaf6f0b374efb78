package ledger

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// letGo takes the file's pages that were looked at out of this process's memory. The kernel has them still, and gives them back without
// a read of the disk; only that they count as this process's ends.
func (f *File) letGo() {
	_ = f.db.View(func(tx *bbolt.Tx) error { // while one looks, the mapping stays where it is
		if at := f.db.Info().Data; at != 0 {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, at, uintptr(tx.Size()), syscall.MADV_DONTNEED) // where it is refused, they stay
		}
		return nil
	})
}
