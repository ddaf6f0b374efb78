package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// identified is a directory entry that knows what its file holds without being read: equal ids, equal content. The entries of a
// commit do, by git's own hash; of any other the content is read and hashed.
type identified interface{ ContentID() string }

// Loader loads one environment's folder again and again, and parses only what changed since the time before. What a file says
// depends on its content, its name, the kinds and the environment's defaults; the kinds are fixed, and where the defaults change,
// every file is parsed anew. What only shows beside other files (two of one name or one stack, dependencies) is found over all of them each
// time, from what was kept. A Loader is not safe for concurrent use.
type Loader struct {
	kinds    Kinds
	env      keptEnvironment
	files    map[string]keptFile // by name
	defaults Defaults            // that the files were parsed with
	parsed   int
}

type keptEnvironment struct {
	id   string
	env  *Environment
	errs []Error
}

type keptFile struct {
	id   string
	file *File
}

// NewLoader returns a loader that has kept nothing yet.
func NewLoader(kinds Kinds) *Loader { return &Loader{kinds: kinds} }

// Load reads the whole folder: environment.yaml and one service in each other *.yaml file. Every error of every file is in the
// snapshot, those of files that did not change included; a bad file costs only its own service. The commit is left zero. The
// environment and the services of a snapshot are shared with the snapshots after it, and must not be changed: one that is the
// same pointer as before is the same service.
//
// Files whose name begins with a dot and *.md are left alone; anything else that is not a *.yaml file is an error, because it
// may be a service under a mistyped name.
func (l *Loader) Load(tree fs.FS) *Snapshot {
	l.parsed = 0
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return Join(nil, []Error{{File: ".", Line: 1, Col: 1, Message: "the folder cannot be read: " + reason(err)}}, nil)
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	env, errs := l.environment(tree, entries)
	errs = slices.Clone(errs)
	before := l.kept(env)
	l.files = make(map[string]keptFile, len(entries))
	files := make([]*File, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == EnvironmentFile || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".md"):
		case path.Ext(name) == ".yaml":
			files = append(files, l.service(tree, e, env, before))
		case path.Ext(name) == ".yml" && !names[stem(name)+".yaml"]:
			files = append(files, &File{Path: name, Errors: []Error{{File: name, Line: 1, Col: 1, Message: "the file's name ends in .yml; rename it to " + visible(stem(name)) + ".yaml"}}})
		case e.IsDir():
			errs = append(errs, Error{File: name, Line: 1, Col: 1, Message: "a folder inside an environment is not read; move its files beside environment.yaml"})
		default:
			errs = append(errs, Error{File: name, Line: 1, Col: 1, Message: "not a *.yaml file; rename it to <service>.yaml, or move it elsewhere"})
		}
	}
	return Join(env, errs, files)
}

// Parsed is how many files the newest Load parsed.
func (l *Loader) Parsed() int { return l.parsed }

// kept are the files of before that still say the same under the environment: its defaults are all that enters a service.
func (l *Loader) kept(env *Environment) map[string]keptFile {
	defaults := Defaults{Bake: DefaultBake, Deadline: DefaultDeadline, OnFailure: DefaultOnFailure}
	if env != nil {
		defaults = env.Spec.Defaults
	}
	if defaults != l.defaults {
		l.files, l.defaults = nil, defaults
	}
	return l.files
}

func (l *Loader) environment(tree fs.FS, entries []fs.DirEntry) (*Environment, []Error) {
	at := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == EnvironmentFile })
	if at < 0 {
		return nil, []Error{{File: EnvironmentFile, Line: 1, Col: 1, Message: "the file is missing; it says which account and region the environment is"}}
	}
	id, data, errs := identify(tree, entries[at], l.env.id)
	if errs != nil {
		return nil, errs
	}
	if id != l.env.id {
		env, errs := ParseEnvironment(EnvironmentFile, data)
		l.parsed++
		l.env = keptEnvironment{id, env, errs}
	}
	return l.env.env, l.env.errs
}

// service is what a file says: what it said before, where its content is the same.
func (l *Loader) service(tree fs.FS, entry fs.DirEntry, env *Environment, before map[string]keptFile) *File {
	old := before[entry.Name()]
	id, data, errs := identify(tree, entry, old.id)
	if errs != nil {
		return &File{Path: entry.Name(), Errors: errs} // not kept: it may be readable the next time
	}
	if id != old.id {
		old = keptFile{id, ParseFile(entry.Name(), data, env, l.kinds)}
		l.parsed++
	}
	l.files[entry.Name()] = old
	return old.file
}

// identify tells what a file holds, and the content itself where that is not known to be what it was before.
func identify(tree fs.FS, entry fs.DirEntry, before string) (id string, data []byte, errs []Error) {
	known, ok := entry.(identified)
	if ok && entry.Type().IsRegular() {
		if id = known.ContentID(); id != "" && id == before {
			return id, nil, nil
		}
	}
	if data, errs = readFile(tree, entry); errs != nil {
		return "", nil, errs
	}
	if id == "" {
		sum := sha256.Sum256(data)
		id = hex.EncodeToString(sum[:])
	}
	return id, data, nil
}
