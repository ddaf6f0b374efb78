package gitrepo

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/canteen/deploy/controller/fault"
)

// written is a pack of objects as a server may send it, honest or not.
type written struct{ bytes.Buffer }

func begin(count uint32) *written {
	w := &written{}
	w.WriteString("PACK")
	_ = binary.Write(w, binary.BigEndian, []uint32{2, count})
	return w
}

// add writes an object that says it has so many bytes; before is by how much further on it stands than what it is a difference from.
func (w *written) add(kind plumbing.ObjectType, says int, content []byte, before int) (offset int) {
	offset = w.Len()
	first := byte(kind)<<4 | byte(says&15)
	for says >>= 4; ; says >>= 7 {
		if says == 0 {
			w.WriteByte(first)
			break
		}
		w.WriteByte(first | 0x80)
		first = byte(says & 0x7f)
	}
	if kind == plumbing.OFSDeltaObject {
		code := []byte{byte(before & 0x7f)}
		for before >>= 7; before > 0; before >>= 7 {
			before--
			code = append([]byte{byte(before&0x7f) | 0x80}, code...)
		}
		w.Write(code)
	}
	z := zlib.NewWriter(w)
	_, _ = z.Write(content)
	_ = z.Close()
	return offset
}

func (w *written) end() io.Reader {
	sum := sha1.Sum(w.Bytes())
	w.Write(sum[:])
	return bytes.NewReader(w.Bytes())
}

// receive lets go-git hand a pack to a store with small limits.
func receive(limits packLimits, r io.Reader) (*pack, error) {
	p := newPack()
	p.limits = limits
	var s storer.Storer = p
	return p, packfile.UpdateObjectStorage(s, r)
}

func TestAPackIsBounded(t *testing.T) {
	limits := packLimits{base: 1000, bases: 1 << 30, unpacked: 100_000}
	small := bytes.Repeat([]byte("s"), 900)
	many := begin(200)
	for i := range 200 {
		many.add(plumbing.BlobObject, 900, append(small[:898:898], byte(i), byte(i>>8)), 0)
	}
	empty := begin(1000)
	for range 1000 {
		empty.add(plumbing.BlobObject, 0, nil, 0)
	}
	bomb := begin(201)
	at := bomb.add(plumbing.BlobObject, 900, small, 0)
	for range 200 { // each a few bytes that copy the 900
		delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, 900), 900), 0x80|0x10|0x20, 0x84, 0x03)
		bomb.add(plumbing.OFSDeltaObject, len(delta), delta, bomb.Len()-at)
	}
	for name, w := range map[string]*written{"many": many, "empty ones": empty, "differences": bomb} {
		if _, err := receive(limits, w.end()); fault.CodeOf(err) != CodeRepositoryTooLarge || !fault.Is(err, fault.Terminal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tree := begin(1)
	tree.add(plumbing.TreeObject, 2000, bytes.Repeat([]byte("t"), 2000), 0)
	if _, err := receive(limits, tree.end()); fault.CodeOf(err) != CodeRepositoryTooLarge {
		t.Errorf("a tree that is too large: %v", err)
	}
}

func TestAPackKnowsTheSizeOfWhatItDoesNotHold(t *testing.T) {
	limits := packLimits{base: FileSizeMax + 5000, bases: FileSizeMax + 5000, unpacked: 1 << 30}
	large, other, small := bytes.Repeat([]byte("l"), FileSizeMax+9000), bytes.Repeat([]byte("o"), FileSizeMax+4000), []byte("small")
	w := begin(5)
	at := w.add(plumbing.BlobObject, len(large), large, 0)
	w.add(plumbing.BlobObject, len(other), other, 0)
	w.add(plumbing.BlobObject, len(other), append(other[:len(other)-1:len(other)-1], 'p'), 0) // no room for a second one of that size
	w.add(plumbing.BlobObject, len(small), small, 0)
	delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(large))), FileSizeMax+77), 0x80|0x10, 5)
	w.add(plumbing.OFSDeltaObject, len(delta), delta, w.Len()-at)
	p, err := receive(limits, w.end())
	if err != nil {
		t.Fatal(err)
	}
	hash := func(data []byte) plumbing.Hash { return plumbing.ComputeHash(plumbing.BlobObject, data) }
	for name, tt := range map[string]struct {
		hash plumbing.Hash
		size int64
		held bool
	}{
		"large": {hash(large), FileSizeMax + 9000, false}, "other": {hash(other), FileSizeMax + 4000, true},
		"second": {hash(append(other[:len(other)-1:len(other)-1], 'p')), FileSizeMax + 4000, false},
		"small":  {hash(small), 5, true}, "a difference from the large one": {plumbing.NewHash("1234"), FileSizeMax + 77, false},
	} {
		size, err := p.EncodedObjectSize(tt.hash)
		_, missing := p.EncodedObject(plumbing.BlobObject, tt.hash)
		if err != nil || size != tt.size || (missing == nil) != tt.held {
			t.Errorf("%s: %d bytes, %v, %v; want %d, held %t", name, size, err, missing, tt.size, tt.held)
		}
	}
}

// A second pack may hold differences from what the first one brought.
func TestAThinPack(t *testing.T) {
	p := newPack()
	one := begin(1)
	one.add(plumbing.BlobObject, 5, []byte("hello"), 0)
	if err := packfile.UpdateObjectStorage(p, one.end()); err != nil {
		t.Fatal(err)
	}
	hash := func(text string) plumbing.Hash { return plumbing.ComputeHash(plumbing.BlobObject, []byte(text)) }
	two := begin(1)
	delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, 5), 4), 0x80|0x10, 4) // its first four bytes
	two.WriteByte(byte(plumbing.REFDeltaObject)<<4 | byte(len(delta)))
	base := hash("hello")
	two.Write(base[:])
	z := zlib.NewWriter(two)
	_, _ = z.Write(delta)
	_ = z.Close()
	if err := packfile.UpdateObjectStorage(p, two.end()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"hello", "hell"} {
		if size, err := p.EncodedObjectSize(hash(text)); err != nil || size != int64(len(text)) {
			t.Errorf("%s has %d bytes, %v", text, size, err)
		}
	}
}

// Whatever bytes a server sends instead of a pack, there is an error and an end.
func TestAPackThatIsNone(t *testing.T) {
	good := begin(3)
	at := good.add(plumbing.BlobObject, 5, []byte("hello"), 0)
	good.add(plumbing.BlobObject, 5, []byte("world"), 0)
	delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, 5), 5), 0x80|0x10, 5)
	good.add(plumbing.OFSDeltaObject, len(delta), delta, good.Len()-at)
	whole, _ := io.ReadAll(good.end())
	limits := newPack().limits
	if _, err := receive(limits, bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) - sha1.Size {
		if _, err := receive(limits, bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a pack", n, len(whole))
		}
	}
	for at := range whole {
		broken := bytes.Clone(whole)
		broken[at] ^= 0xff
		_, _ = receive(limits, bytes.NewReader(broken)) // an error or not, it ends
	}
	if _, err := receive(limits, io.MultiReader(bytes.NewReader(whole[:20]), failing{})); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errBroken) {
		t.Errorf("a connection that breaks: %v", err)
	}
}

var errBroken = errors.New("broken")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }
