package desired

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Load is a Loader's first Load.
func Load(tree fs.FS, kinds Kinds) *Snapshot { return NewLoader(kinds).Load(tree) }

// readFile reads one regular file. Of one larger than FileSizeMax nothing is read, or where its size was a lie, only so much that it
// is seen to be too large.
func readFile(tree fs.FS, entry fs.DirEntry) ([]byte, []Error) {
	name := entry.Name()
	wrong := func(message string) []Error { return []Error{{File: name, Line: 1, Col: 1, Message: message}} }
	if !utf8.ValidString(name) {
		return nil, wrong("the file's name is not UTF-8; rename it")
	}
	if !entry.Type().IsRegular() {
		return nil, wrong("not a regular file but " + oddity(entry.Type()) + "; write the content into the file itself")
	}
	info, err := entry.Info()
	if err != nil {
		return nil, wrong("the file cannot be read: " + reason(err))
	}
	if info.Size() > FileSizeMax {
		return nil, wrong(tooLarge(info.Size()))
	}
	f, err := tree.Open(name)
	if err != nil {
		return nil, wrong("the file cannot be read: " + reason(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, FileSizeMax+1))
	if err != nil {
		return nil, wrong("the file cannot be read: " + reason(err))
	}
	if len(data) > FileSizeMax {
		return nil, wrong(tooLarge(int64(len(data))))
	}
	return data, nil
}

func tooLarge(size int64) string {
	return fmt.Sprintf("the file has %d bytes, and at most %d are read; an environment's files are short texts", size, FileSizeMax)
}

func oddity(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a folder"
	default:
		return "a device, pipe or socket"
	}
}

// reason is an I/O error without the path, which the error's file says already.
func reason(err error) string {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// Join makes the snapshot of files that were parsed one by one, and finds what only shows beside the others: two files that name
// the same service condemn both, as do two valid ones that name the same stack (see housemates), and a dependency on a service that no file is about, or a circle of them, condemns the service
// that asks for it. The files are not changed.
func Join(env *Environment, environmentErrors []Error, files []*File) *Snapshot {
	snap := &Snapshot{Environment: env, Services: map[string]*Service{}, Invalid: map[string][]Error{}, Errors: slices.Clone(environmentErrors)}
	found := twins(files)
	housemates(files, found)
	known := map[string]bool{}
	for _, f := range files {
		if presentable(f.Stem()) {
			known[f.Stem()] = true
		}
	}
	waiting := circles(files)
	for _, f := range files {
		errs := append(slices.Clone(f.Errors), found[f]...)
		if f.Service != nil {
			errs = append(errs, f.dependencyErrors(known, waiting[f.name])...)
		}
		if len(errs) == 0 {
			snap.Services[f.name] = f.Service
			continue
		}
		slices.SortFunc(errs, compareErrors)
		if more := len(errs) - 1; more > 0 && len(snap.Errors) >= folderErrorsMax {
			errs = errs[:1:1]
			errs[0].Message += fmt.Sprintf(" (and %d more errors in this file)", more)
		}
		if presentable(f.Stem()) { // under any other name there is no service
			snap.Invalid[f.Stem()] = errs
		}
		snap.Errors = append(snap.Errors, errs...)
	}
	slices.SortFunc(snap.Errors, compareErrors)
	return snap
}

// twins are the errors of files that name the same service.
func twins(files []*File) map[*File][]Error {
	byName := map[string][]*File{}
	for _, f := range files {
		if f.name != "" {
			byName[f.name] = append(byName[f.name], f)
		}
	}
	found := map[*File][]Error{}
	for name, same := range byName {
		if len(same) < 2 {
			continue
		}
		slices.SortFunc(same, func(a, b *File) int { return cmp.Compare(a.Path, b.Path) })
		for i, f := range same {
			other := same[(i+1)%len(same)].Path
			found[f] = append(found[f], f.errorAt(f.nameAt, fmt.Sprintf("metadata.name %s is also in %s; one file describes one service", visible(name), visible(other))))
		}
	}
	return found
}

// housemates adds the errors of valid files of different services that name the same stack: a stack holds one service, and two files
// may not both decide about it. All of them are condemned, since none says whose the service is: so each keeps its last valid word, what
// runs stays as it is, and nothing of one's is done in the other's. By name alone a copy called a.yaml would take the service over.
func housemates(files []*File, found map[*File][]Error) {
	byStack := map[string][]*File{}
	for _, f := range files {
		if f.Service != nil {
			byStack[f.Service.Spec.Stack] = append(byStack[f.Service.Spec.Stack], f)
		}
	}
	for stack, same := range byStack {
		slices.SortFunc(same, func(a, b *File) int { return cmp.Compare(a.Path, b.Path) })
		for i, f := range same {
			other := same[(i+1)%len(same)]
			if other.name == f.name { // itself, or the same service twice, which is said
				continue
			}
			found[f] = append(found[f], f.errorAt(f.stackAt, fmt.Sprintf("spec.stack %s is also in %s; one stack holds one service, so name the stack of this one", visible(stack), visible(other.Path))))
		}
	}
}

func (f *File) errorAt(at place, message string) Error {
	return Error{File: f.Path, Line: at.line, Col: at.col, Message: message}
}

func (f *File) dependencyErrors(known map[string]bool, circle []string) []Error {
	var errs []Error
	for _, d := range f.dependsOn {
		if len(errs) == errorsMax {
			break
		}
		if !known[d.name] {
			errs = append(errs, f.errorAt(d.at, fmt.Sprintf("unknown service %q; %s", printable(d.name), suggest(d.name, "service", others(known, f.name)))))
		}
		if len(circle) > 0 && d.name == circle[1] {
			errs = append(errs, f.errorAt(d.at, "the services wait for each other ("+strings.Join(circle, " → ")+"); remove one dependency"))
		}
	}
	return errs
}

func others(known map[string]bool, but string) []string {
	if len(known) > comparedMax+1 {
		return make([]string, len(known)-1) // how many there are is all that is said of so many
	}
	return slices.DeleteFunc(slices.Collect(maps.Keys(known)), func(n string) bool { return n == but })
}
