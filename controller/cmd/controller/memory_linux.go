package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// letGoOfProgram takes the program's own code and constants out of this process's memory; what is needed comes back from the kernel's
// cache at the next use, and what only the start needed, which is most, does not. It is left alone where any page of it differs from the
// file, since that page would be lost.
func letGoOfProgram() {
	name, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range unchangedMappings(string(text), name) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED) // where it is refused, they stay
	}
}

type mapping struct{ from, to uintptr }

// unchangedMappings are the mappings of the named file that may not be written and have no page of their own. The form is that of
// proc_pid_smaps(5).
func unchangedMappings(smaps, name string) (out []mapping) {
	var now *mapping
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if from, to, ok := addresses(fields[0]); ok {
			now = nil
			if len(fields) == 6 && fields[5] == name && !strings.Contains(fields[1], "w") {
				now = &mapping{from, to}
			}
			continue
		}
		if now != nil && fields[0] == "Anonymous:" {
			if fields[1] == "0" {
				out = append(out, *now)
			}
			now = nil
		}
	}
	return out
}

func addresses(text string) (from, to uintptr, ok bool) {
	a, b, ok := strings.Cut(text, "-")
	x, errA := strconv.ParseUint(a, 16, 64)
	y, errB := strconv.ParseUint(b, 16, 64)
	return uintptr(x), uintptr(y), ok && errA == nil && errB == nil && x < y
}
