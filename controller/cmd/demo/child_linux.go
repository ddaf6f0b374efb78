package main

import "syscall"

// childAttributes lets the controller die with the demo, however the demo dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
