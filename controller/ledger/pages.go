package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// bbolt believes what stands in its pages. A branch that points back to itself is descended without an end, and a page that is in use
// and in the list of free ones is overwritten by the next save. So the pages are walked once before the file is opened for
// writing, by what is written of the format in bbolt's internal/common: page.go, meta.go, inode.go, bucket.go.
const (
	pageHeader   = 16 // id u64, flags u16, count u16, overflow u32
	elementSize  = 16 // of a branch: position u32, key size u32, page u64; of a leaf: flags u32, position u32, key size u32, value size u32
	bucketHeader = 16 // root u64, sequence u64
	metaSize     = 64 // magic u32, version u32, page size u32, flags u32, root bucket, freelist u64, high water u64, transaction u64, checksum u64

	flagBranch, flagLeaf, flagFreelist = 0x01, 0x02, 0x10
	leafIsBucket                       = 0x01

	metaMagic        = 0xED0CDAED
	pageNoFreelist   = math.MaxUint64
	freelistOverflow = math.MaxUint16 // the count then stands in the first of the ids
)

var order = binary.NativeEndian

// walkPages reports what is wrong with the tree of the newest whole state: a page that is out of the file, not what it should be, or
// used twice. It reads heads of pages and keys' places, and no records.
func walkPages(file io.ReaderAt, size int64) error {
	w, root, free, err := readMeta(file, size)
	if err != nil {
		return err
	}
	todo := []uint64{root}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		children, err := w.page(next)
		if err != nil {
			return fmt.Errorf("page %d: %w", next, err)
		}
		todo = append(todo[:len(todo)-1], children...)
	}
	if free == pageNoFreelist {
		return nil
	}
	if err := w.freelist(free); err != nil {
		return fmt.Errorf("page %d, of free pages: %w", free, err)
	}
	return nil
}

type pageWalk struct {
	file      io.ReaderAt
	pageSize  uint64
	highWater uint64 // the first page that is none
	used      []uint64
}

// readMeta finds the newest of the two heads that is whole, as bbolt does.
func readMeta(file io.ReaderAt, size int64) (w *pageWalk, root, free uint64, err error) {
	newest := uint64(0)
	at := int64(0)
	for range 2 {
		b := make([]byte, pageHeader+metaSize)
		if _, err := file.ReadAt(b, at); err != nil {
			break
		}
		m := b[pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		pageSize := uint64(order.Uint32(m[8:]))
		if order.Uint32(m) == metaMagic && sum.Sum64() == order.Uint64(m[56:]) && pageSize >= 512 {
			if transaction := order.Uint64(m[48:]); w == nil || transaction > newest {
				w, newest = &pageWalk{file: file, pageSize: pageSize, highWater: order.Uint64(m[40:])}, transaction
				root, free = order.Uint64(m[16:]), order.Uint64(m[32:])
			}
			at = int64(pageSize)
			continue
		}
		at = 4096 // the first head is lost: bbolt looks for the second one at sizes of pages, of which this is the usual one
	}
	if w == nil {
		return nil, 0, 0, errors.New("neither of its heads is whole")
	}
	if w.highWater > uint64(size)/w.pageSize {
		return nil, 0, 0, errCut
	}
	w.used = make([]uint64, w.highWater/64+1)
	return w, root, free, nil
}

// take marks pages as used. Each is used once.
func (w *pageWalk) take(first, n uint64) error {
	if first < 2 || first >= w.highWater || n > w.highWater-first {
		return fmt.Errorf("it is out of the file, which has %d pages", w.highWater)
	}
	for id := first; id < first+n; id++ {
		if w.used[id/64]&(1<<(id%64)) != 0 {
			return fmt.Errorf("page %d is used twice", id)
		}
		w.used[id/64] |= 1 << (id % 64)
	}
	return nil
}

// head reads a page's head, and takes the page.
func (w *pageWalk) head(id uint64) (flags, count uint16, length uint64, err error) {
	if id >= w.highWater {
		return 0, 0, 0, fmt.Errorf("it is out of the file, which has %d pages", w.highWater)
	}
	var b [pageHeader]byte
	if _, err := w.file.ReadAt(b[:], int64(id*w.pageSize)); err != nil {
		return 0, 0, 0, err
	}
	if got := order.Uint64(b[:]); got != id {
		return 0, 0, 0, fmt.Errorf("it says that it is page %d", got)
	}
	pages := uint64(order.Uint32(b[12:])) + 1
	return order.Uint16(b[8:]), order.Uint16(b[10:]), pages * w.pageSize, w.take(id, pages)
}

// page checks a page of the tree, and answers those below it.
func (w *pageWalk) page(id uint64) (below []uint64, err error) {
	flags, count, length, err := w.head(id)
	if err != nil {
		return nil, err
	}
	if flags != flagBranch && flags != flagLeaf {
		return nil, fmt.Errorf("it is of kind %#x, neither branch nor leaf", flags)
	}
	elements := make([]byte, uint64(count)*elementSize)
	if pageHeader+uint64(len(elements)) > length {
		return nil, fmt.Errorf("%d keys have no room in it", count)
	}
	if _, err := w.file.ReadAt(elements, int64(id*w.pageSize+pageHeader)); err != nil {
		return nil, err
	}
	if flags == flagBranch && count == 0 {
		return nil, errors.New("it is a branch to nowhere")
	}
	for i := range int(count) {
		e := elements[i*elementSize:][:elementSize]
		room := length - pageHeader - uint64(i)*elementSize // from the element on
		if flags == flagBranch {
			if uint64(order.Uint32(e))+uint64(order.Uint32(e[4:])) > room {
				return nil, fmt.Errorf("key %d is out of it", i)
			}
			below = append(below, order.Uint64(e[8:]))
			continue
		}
		position, key, value := uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		if position+key+value > room {
			return nil, fmt.Errorf("key %d is out of it", i)
		}
		if order.Uint32(e)&leafIsBucket == 0 {
			continue
		}
		root, err := w.bucket(int64(id*w.pageSize+pageHeader+uint64(i)*elementSize+position+key), value)
		if err != nil {
			return nil, fmt.Errorf("the bucket of key %d: %w", i, err)
		}
		if root != 0 {
			below = append(below, root)
		}
	}
	return below, nil
}

// bucket answers a bucket's root; 0 for one that is so small that its only page is in its value.
func (w *pageWalk) bucket(at int64, size uint64) (root uint64, err error) {
	if size < bucketHeader {
		return 0, errors.New("it is cut short")
	}
	b := make([]byte, min(size, w.pageSize))
	if _, err := w.file.ReadAt(b, at); err != nil {
		return 0, err
	}
	if root = order.Uint64(b); root != 0 {
		return root, nil
	}
	b = b[bucketHeader:]
	if len(b) < pageHeader || order.Uint16(b[8:]) != flagLeaf {
		return 0, errors.New("it has no leaf")
	}
	for i := range int(order.Uint16(b[10:])) {
		at := pageHeader + i*elementSize
		if at+elementSize > len(b) {
			return 0, errors.New("its keys have no room in it")
		}
		e := b[at:]
		if uint64(order.Uint32(e[4:]))+uint64(order.Uint32(e[8:]))+uint64(order.Uint32(e[12:])) > uint64(len(e)) {
			return 0, fmt.Errorf("its key %d is out of it", i)
		}
		if order.Uint32(e)&leafIsBucket != 0 {
			return 0, errors.New("it has buckets, which have no room in it")
		}
	}
	return 0, nil
}

// freelist checks that no page that is free is used.
func (w *pageWalk) freelist(id uint64) error {
	flags, short, length, err := w.head(id)
	if err != nil {
		return err
	}
	if flags != flagFreelist {
		return fmt.Errorf("it is of kind %#x", flags)
	}
	at, count := int64(id*w.pageSize+pageHeader), uint64(short)
	if short == freelistOverflow {
		var b [8]byte
		if _, err := w.file.ReadAt(b[:], at); err != nil {
			return err
		}
		at, count = at+8, order.Uint64(b[:])
	}
	if count > (length-pageHeader)/8 {
		return fmt.Errorf("%d pages have no room in it", count)
	}
	ids := make([]byte, count*8)
	if _, err := w.file.ReadAt(ids, at); err != nil {
		return err
	}
	for ; len(ids) > 0; ids = ids[8:] {
		if err := w.take(order.Uint64(ids), 1); err != nil {
			return err
		}
	}
	return nil
}
