package process

import "syscall"

// ownGroup lets signals reach a program and all that it starts, and takes the program along when this
// process dies without having closed its Runner.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
