package main

import (
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestOnlyUnchangedPagesOfTheProgramAreLetGo(t *testing.T) {
	text := `00400000-01f37000 r-xp 00000000 fe:00 10010883                           /controller
Size:              27868 kB
Anonymous:             0 kB
01f37000-03a2a000 r--p 01b37000 fe:00 10010883                           /controller
Anonymous:             4 kB
03a2a000-03ac8000 rw-p 0362a000 fe:00 10010883                           /controller
Anonymous:             0 kB
03ac8000-05b3f000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000010000 r--s 00000000 fe:00 5                          /ledger.db
Anonymous:             0 kB
`
	if got, want := unchangedMappings(text, "/controller"), []mapping{{0x400000, 0x1f37000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What is let go of is there again when it is needed, and less of the program is in memory.
func TestProgramIsLetGo(t *testing.T) {
	before := residentOfFiles(t)
	letGoOfProgram()
	if after := residentOfFiles(t); after >= before {
		t.Errorf("%d KiB of files are in memory, before it were %d", after, before)
	}
}

func residentOfFiles(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "RssFile:")
	n, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
