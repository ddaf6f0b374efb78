package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// FS returns the folder as a file system: regular files and directories, modified when the commit was made. Opening a
// symbolic link or a submodule is refused, and so is a file of more than FileSizeMax bytes, which says its true size.
func (h Head) FS() fs.FS {
	f := &folder{head: h, dirs: map[string][]fs.DirEntry{".": nil}}
	for name := range h.Files {
		f.add(name, entry{name: path.Base(name), file: h.Files[name], at: h.Commit.At})
	}
	for _, entries := range f.dirs {
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return f
}

// errOdd is why links and submodules cannot be opened.
var errOdd = errors.New("not a regular file; write its content into the repository instead")

type folder struct {
	head Head
	dirs map[string][]fs.DirEntry // by path, "." for the folder itself
}

func (f *folder) add(name string, e entry) {
	dir := path.Dir(name)
	if _, known := f.dirs[dir]; !known {
		f.add(dir, entry{name: path.Base(dir), file: File{Mode: fs.ModeDir | 0o755}, at: e.at})
		f.dirs[dir] = nil
	}
	f.dirs[dir] = append(f.dirs[dir], e)
}

func (f *folder) Open(name string) (fs.File, error) {
	e, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	if e.IsDir() {
		return &openDir{entry: e, rest: f.dirs[name]}, nil
	}
	data, err := f.data("open", name, e)
	if err != nil {
		return nil, err
	}
	return &openFile{entry: e, Reader: bytes.NewReader(data)}, nil
}

// ReadFile returns a copy, as the interface asks for.
func (f *folder) ReadFile(name string) ([]byte, error) {
	e, err := f.find("read", name)
	if err != nil {
		return nil, err
	}
	data, err := f.data("read", name, e)
	return bytes.Clone(data), err
}

func (f *folder) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !e.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return slices.Clone(f.dirs[name]), nil
}

func (f *folder) Stat(name string) (fs.FileInfo, error) {
	e, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (f *folder) find(op, name string) (entry, error) {
	if !fs.ValidPath(name) {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if file, ok := f.head.Files[name]; ok {
		return entry{name: path.Base(name), file: file, at: f.head.Commit.At}, nil
	}
	if _, ok := f.dirs[name]; ok {
		return entry{name: path.Base(name), file: File{Mode: fs.ModeDir | 0o755}, at: f.head.Commit.At}, nil
	}
	return entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func (f *folder) data(op, name string, e entry) ([]byte, error) {
	if !e.file.Mode.IsRegular() {
		return nil, &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%s: %w", e.file.Mode, errOdd)}
	}
	if e.file.Size > FileSizeMax {
		return nil, &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("the file has %d bytes, and at most %d are read", e.file.Size, FileSizeMax)}
	}
	return f.head.contents[e.file.Blob].data, nil
}

// entry is a file or directory as fs.FileInfo and as fs.DirEntry.
type entry struct {
	name string
	file File
	at   time.Time
}

func (e entry) Name() string               { return e.name }
func (e entry) Size() int64                { return e.file.Size }
func (e entry) Mode() fs.FileMode          { return e.file.Mode }
func (e entry) ModTime() time.Time         { return e.at }
func (e entry) IsDir() bool                { return e.file.Mode.IsDir() }
func (e entry) Sys() any                   { return nil }
func (e entry) Type() fs.FileMode          { return e.file.Mode.Type() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) String() string             { return fs.FormatFileInfo(e) }

// ContentID is git's id of a file's content, empty of a folder: whoever has read the content of that id need not read it again.
func (e entry) ContentID() string { return e.file.Blob }

type openFile struct {
	entry
	*bytes.Reader
}

func (o *openFile) Stat() (fs.FileInfo, error) { return o.entry, nil }
func (o *openFile) Size() int64                { return o.entry.Size() }
func (o *openFile) Close() error               { return nil }

type openDir struct {
	entry
	rest []fs.DirEntry
}

func (o *openDir) Stat() (fs.FileInfo, error) { return o.entry, nil }
func (o *openDir) Close() error               { return nil }
func (o *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: o.name, Err: errors.New("is a directory")}
}

func (o *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(o.rest) {
		if n > 0 && len(o.rest) == 0 {
			return nil, io.EOF
		}
		n = len(o.rest)
	}
	got := slices.Clone(o.rest[:n])
	o.rest = o.rest[n:]
	return got, nil
}
