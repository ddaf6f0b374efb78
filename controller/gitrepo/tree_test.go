package gitrepo

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/canteen/deploy/controller/fault"
)

// one answers every id with the same blob, so that no 64 MiB need to be hashed.
type one struct {
	storer.EncodedObjectStorer
	blob plumbing.EncodedObject
}

func (o one) EncodedObject(plumbing.ObjectType, plumbing.Hash) (plumbing.EncodedObject, error) {
	return o.blob, nil
}

func TestAFolderThatIsTooLargeIsRefused(t *testing.T) {
	blob := &plumbing.MemoryObject{}
	blob.SetType(plumbing.BlobObject)
	if _, err := blob.Write(bytes.Repeat([]byte("x"), FileSizeMax)); err != nil {
		t.Fatal(err)
	}
	r := reader{objects: one{memory.NewStorage(), blob}, head: &Head{Files: map[string]File{}, contents: map[string]content{}}}
	var err error
	read := 0
	for ; err == nil && read < 100; read++ {
		var hash plumbing.Hash
		binary.BigEndian.PutUint32(hash[:], uint32(read))
		_, err = r.content(hash.String(), hash)
		if _, again := r.content(hash.String(), hash); err == nil && again != nil {
			t.Fatalf("the same blob counts twice: %v", again)
		}
	}
	if read != folderSizeMax/FileSizeMax+1 || fault.CodeOf(err) != CodeFolderTooLarge {
		t.Errorf("%v after %d MiB", err, read)
	}
}
