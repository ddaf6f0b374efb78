package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// large is a ledger of so many records that its tree has branches, and free pages.
func large(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deploy.db")
	l, err := OpenWith(path, Options{Unsynced: true})
	if err != nil {
		t.Fatal(err)
	}
	l.db.NoFreelistSync = false
	for i := range 300 {
		if _, err := l.Save(t.Context(), rollout.Record{Service: fmt.Sprintf("service-%d", i), Why: strings.Repeat("Waits. ", 50)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A tree that leads back to itself is descended without an end, and a page that is free and used is overwritten: both are told when
// the file is opened, at once, whichever way it is kept.
func TestPagesThatAreNoTree(t *testing.T) {
	whole := large(t)
	const pageSize = 4096
	walk, root, free, err := readMeta(strings.NewReader(string(whole)), int64(len(whole)))
	if err != nil || free == pageNoFreelist {
		t.Fatalf("free pages at %d, %v", free, err)
	}
	branch, leaf := uint64(0), uint64(0)
	for todo := []uint64{root}; len(todo) > 0; todo = todo[1:] {
		switch p := whole[todo[0]*pageSize:]; {
		case order.Uint16(p[8:]) == flagBranch:
			branch = todo[0]
		case todo[0] != root && order.Uint16(p[10:]) > 2:
			leaf = todo[0]
		}
		below, err := walk.page(todo[0])
		if err != nil {
			t.Fatal(err)
		}
		todo = append(todo, below...)
	}
	if branch == 0 || leaf == 0 {
		t.Fatalf("branch %d, leaf %d: the ledger is too small to tell anything", branch, leaf)
	}
	at := func(id uint64, offset int) int { return int(id)*pageSize + offset }
	for _, tt := range []struct {
		name   string
		damage func(b []byte)
		want   string
	}{
		{"a branch leads to itself", func(b []byte) { order.PutUint64(b[at(branch, pageHeader+8):], branch) }, "is used twice"},
		{"a branch leads to the root", func(b []byte) { order.PutUint64(b[at(branch, pageHeader+8):], root) }, "is used twice"},
		{"a branch leads out of the file", func(b []byte) { order.PutUint64(b[at(branch, pageHeader+8):], 1<<40) }, "out of the file"},
		{"a branch leads to a head", func(b []byte) { order.PutUint64(b[at(branch, pageHeader+8):], 1) }, "out of the file"},
		{"a branch leads nowhere", func(b []byte) { order.PutUint16(b[at(branch, 10):], 0) }, "a branch to nowhere"},
		{"a page is another", func(b []byte) { order.PutUint64(b[at(leaf, 0):], leaf+1) }, "it says that it is page"},
		{"a page is of no kind", func(b []byte) { order.PutUint16(b[at(leaf, 8):], 0x40) }, "of kind 0x40"},
		{"a page has more keys than room", func(b []byte) { order.PutUint16(b[at(leaf, 10):], 60000) }, "have no room in it"},
		{"a key is out of its page", func(b []byte) { order.PutUint32(b[at(leaf, pageHeader+8):], 1<<30) }, "is out of it"},
		{"a page goes on behind the file", func(b []byte) { order.PutUint32(b[at(leaf, 12):], 1<<31) }, "out of the file"},
		{"a page of the tree is free", func(b []byte) { order.PutUint64(b[at(free, pageHeader):], leaf) }, "is used twice"},
		{"more pages are free than are told", func(b []byte) { order.PutUint16(b[at(free, 10):], 5000) }, "have no room in it"},
		{"a bucket leads to itself", func(b []byte) {
			p := b[at(root, 0):]
			value := pageHeader + int(order.Uint32(p[pageHeader+4:])+order.Uint32(p[pageHeader+8:]))
			order.PutUint64(p[value:], root)
		}, "is used twice"},
	} {
		for _, unsynced := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/unsynced=%t", tt.name, unsynced), func(t *testing.T) {
				data := []byte(string(whole))
				tt.damage(data)
				path := filepath.Join(t.TempDir(), "deploy.db")
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				opened := make(chan error, 1)
				go func() {
					_, err := OpenWith(path, Options{Unsynced: unsynced})
					opened <- err
				}()
				select {
				case err := <-opened:
					if fault.CodeOf(err) != CodeDamaged || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), path) != 1 {
						t.Errorf("%v; want one that is %s, and says %q", err, CodeDamaged, tt.want)
					}
				case <-time.After(20 * time.Second):
					t.Fatal("it is opened without an end")
				}
			})
		}
	}
	path := filepath.Join(t.TempDir(), "deploy.db")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatalf("a ledger that is whole: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
