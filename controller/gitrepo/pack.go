package gitrepo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/canteen/deploy/controller/fault"
)

// The bounds of what a remote repository may send. A whole tree comes with each fetch, whatever else than the folder is in it.
const (
	// baseSizeMax is up to which size an object is kept. Nothing larger than FileSizeMax is ever read, but what is small may have been
	// sent as a difference from something up to 32 times as large: git makes no difference from more (pack-objects, try_delta).
	baseSizeMax = 32 * FileSizeMax
	// basesMax is how many bytes of blobs larger than FileSizeMax are kept of one fetch; the others count as too large.
	basesMax = 128 << 20
	// unpackedMax is how many bytes are kept of one fetch, with objectCost for each object.
	unpackedMax = 512 << 20
	objectCost  = 256
)

// pack is a store that takes what a server sends without ever holding an object that is too large to be of use: of such a one it knows
// the size. go-git's own reader takes room for each object whole, twice, whatever its size: one video in a repository, or a few
// bytes that unpack to a gigabyte, would end the process.
type pack struct {
	*memory.Storage
	large map[plumbing.Hash]int64
	// unnamed are the sizes of those that came as a difference from a large one, whose names are known only to who applies it.
	unnamed []int64

	limits packLimits
	kept   int64 // so far, in bytes
	bases  int64 // of those, of blobs larger than FileSizeMax
}

type packLimits struct{ base, bases, unpacked int64 }

func newPack() *pack {
	return &pack{Storage: memory.NewStorage(), large: map[plumbing.Hash]int64{}, limits: packLimits{baseSizeMax, basesMax, unpackedMax}}
}

// EncodedObjectSize implements storer.EncodedObjectStorer, for large objects too. Of one of the unnamed it is the least that it can be.
func (p *pack) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	if size, ok := p.large[h]; ok {
		return size, nil
	}
	size, err := p.Storage.EncodedObjectSize(h)
	if !errors.Is(err, plumbing.ErrObjectNotFound) || len(p.unnamed) == 0 {
		return size, err
	}
	size = p.unnamed[0]
	for _, s := range p.unnamed {
		size = min(size, s)
	}
	if size <= FileSizeMax {
		return 0, fmt.Errorf("object %s was sent as a difference from one that is too large to be kept", h)
	}
	return size, nil
}

// PackfileWriter implements storer.PackfileWriter: go-git hands what comes to it instead of reading it itself.
func (p *pack) PackfileWriter() (io.WriteCloser, error) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := p.take(r)
		_ = r.CloseWithError(err) // whoever writes learns it, and does not wait
		done <- err
	}()
	return &packWriter{PipeWriter: w, done: done}, nil
}

type packWriter struct {
	*io.PipeWriter
	done chan error
}

// Close ends the pack and waits until it was read.
func (w *packWriter) Close() error {
	_ = w.PipeWriter.Close()
	return <-w.done
}

// arrival is one object of a pack: whole, or a difference that waits for what it is a difference from.
type arrival struct {
	kind   plumbing.ObjectType
	offset int64
	data   []byte
}

// waiting are differences by what they wait for.
type waiting struct {
	offsets map[int64][]arrival
	hashes  map[plumbing.Hash][]arrival
}

// take reads a pack. Its format is git's (gitformat-pack).
func (p *pack) take(r io.Reader) error {
	scanner := packfile.NewScanner(r)
	_, count, err := scanner.Header()
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	wait := waiting{map[int64][]arrival{}, map[plumbing.Hash][]arrival{}}
	var whole []arrival
	for range count {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		a := arrival{kind: header.Type, offset: header.Offset}
		if a.data, err = p.content(scanner, header); err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		switch {
		case a.data == nil: // too large
		case header.Type == plumbing.OFSDeltaObject:
			wait.offsets[header.OffsetReference] = append(wait.offsets[header.OffsetReference], a)
		case header.Type == plumbing.REFDeltaObject:
			wait.hashes[header.Reference] = append(wait.hashes[header.Reference], a)
		default:
			whole = append(whole, a)
		}
	}
	// Reading to the end lets the other side's last write end.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	there, err := p.there(wait.hashes)
	if err != nil {
		return err
	}
	return p.resolve(append(whole, there...), wait)
}

// there are the objects of an earlier pack that differences of this one wait for: a second fetch into the same store may be sent only what
// is new, against what the server knows to be here (git's thin packs).
func (p *pack) there(waited map[plumbing.Hash][]arrival) ([]arrival, error) {
	var out []arrival
	for hash := range waited {
		object, err := p.EncodedObject(plumbing.AnyObject, hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue // it is in this pack, or too large
		}
		if err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		r, err := object.Reader()
		if err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		out = append(out, arrival{kind: object.Type(), offset: nowhere, data: data})
	}
	return out, nil
}

// nowhere is the offset of what is not in the pack.
const nowhere = -1

// content reads one object, or nil of one that is too large.
func (p *pack) content(scanner *packfile.Scanner, header *packfile.ObjectHeader) ([]byte, error) {
	if !p.keepable(header.Type, header.Length) {
		return nil, p.skip(scanner, header)
	}
	if err := p.keep(header.Length); err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, min(header.Length, FileSizeMax)+1)) // the length is the server's word until it has come
	if _, _, err := scanner.NextObject(data); err != nil {
		return nil, err
	}
	if int64(data.Len()) != header.Length {
		return nil, fmt.Errorf("an object has %d bytes and says %d", data.Len(), header.Length)
	}
	return data.Bytes(), nil
}

// skip reads past an object and remembers its name and size.
func (p *pack) skip(scanner *packfile.Scanner, header *packfile.ObjectHeader) error {
	if err := p.keep(0); err != nil {
		return err
	}
	switch header.Type {
	case plumbing.BlobObject:
		hasher := plumbing.NewHasher(header.Type, header.Length)
		if _, _, err := scanner.NextObject(hasher); err != nil {
			return err
		}
		p.large[hasher.Sum()] = header.Length
		return nil
	case plumbing.OFSDeltaObject, plumbing.REFDeltaObject:
		var head firstBytes
		if _, _, err := scanner.NextObject(&head); err != nil {
			return err
		}
		p.unnamed = append(p.unnamed, targetSize(head.data))
		return nil
	}
	return fault.New(fault.Terminal, CodeRepositoryTooLarge, fmt.Errorf("the repository holds a %s of %d bytes", header.Type, header.Length))
}

// firstBytes keeps the beginning of what is written to it.
type firstBytes struct{ data []byte }

func (f *firstBytes) Write(p []byte) (int, error) {
	if room := 2*binary.MaxVarintLen64 - len(f.data); room > 0 {
		f.data = append(f.data, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// targetSize is the size that a difference's result has: the second of the two numbers that it begins with.
func targetSize(delta []byte) int64 {
	_, n := binary.Uvarint(delta)
	if n <= 0 {
		return 0
	}
	size, n := binary.Uvarint(delta[n:])
	if n <= 0 || size > 1<<62 {
		return 0
	}
	return int64(size)
}

// keepable reports whether an object is small enough, and counts it where it is one of the few larger ones.
func (p *pack) keepable(kind plumbing.ObjectType, size int64) bool {
	if kind != plumbing.BlobObject || size <= FileSizeMax {
		return size <= p.limits.base
	}
	if size > p.limits.base || p.bases+size > p.limits.bases {
		return false
	}
	p.bases += size
	return true
}

// keep counts an object. What one of no bytes costs keeps a server from sending them without end.
func (p *pack) keep(size int64) error {
	if p.kept += size + objectCost; p.kept > p.limits.unpacked {
		return fault.New(fault.Terminal, CodeRepositoryTooLarge, fmt.Errorf("what the branch holds unpacks to more than %d MiB, without its largest files: keep desired state in a repository of its own", p.limits.unpacked>>20))
	}
	return nil
}

// resolve stores the objects that came whole, applies the differences to them, and so on.
func (p *pack) resolve(known []arrival, wait waiting) error {
	for len(known) > 0 {
		a := known[len(known)-1]
		known = known[:len(known)-1]
		object := &plumbing.MemoryObject{}
		object.SetType(a.kind)
		if _, err := object.Write(a.data); err != nil {
			return err
		}
		hash, err := p.SetEncodedObject(object)
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		waiters := append(wait.offsets[a.offset], wait.hashes[hash]...)
		delete(wait.offsets, a.offset)
		delete(wait.hashes, hash)
		for _, w := range waiters {
			size := targetSize(w.data)
			if !p.keepable(a.kind, size) {
				p.unnamed = append(p.unnamed, size)
				continue
			}
			if err := p.keep(size); err != nil {
				return err
			}
			data, err := packfile.PatchDelta(a.data, w.data)
			if err != nil {
				return fmt.Errorf("pack: %w", err)
			}
			known = append(known, arrival{kind: a.kind, offset: w.offset, data: data})
		}
	}
	// What is left waits for something that is too large, or for what waits for that.
	left := slices.AppendSeq(slices.Collect(maps.Values(wait.offsets)), maps.Values(wait.hashes))
	for _, a := range slices.Concat(left...) {
		p.unnamed = append(p.unnamed, targetSize(a.data))
	}
	return nil
}
