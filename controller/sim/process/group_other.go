//go:build !linux

package process

import "syscall"

// ownGroup lets signals reach a program and all that it starts. Where the kernel has no parent-death signal,
// programs outlive a parent that was killed.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
