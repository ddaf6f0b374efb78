//go:build !linux

package main

import "syscall"

// childAttributes keeps the terminal's Ctrl-C away from the controller: the demo stops it.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
