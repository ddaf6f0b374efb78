package main

import "syscall"

// childAttributes lets the program die with the test, however the test dies.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
