package release

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/canteen/deploy/controller/desired"
)

// environment is a folder of desired/ as it is at one commit. It is loaded once, whatever is looked up in it.
type environment struct {
	folder   string // desired/ENV
	files    fstest.MapFS
	loader   *desired.Loader
	snapshot *desired.Snapshot
}

func load(files fstest.MapFS, kinds desired.Kinds, folder string) *environment {
	loader := desired.NewLoader(kinds)
	return &environment{folder: folder, files: files, loader: loader, snapshot: loader.Load(files)}
}

// with is the environment with other contents of some services' files; those alone are parsed anew.
func (e *environment) with(contents map[string][]byte) *environment {
	files := maps.Clone(e.files)
	for service, content := range contents {
		files[service+".yaml"] = &fstest.MapFile{Data: content, Mode: 0o644}
	}
	return &environment{folder: e.folder, files: files, loader: e.loader, snapshot: e.loader.Load(files)}
}

// service is a service as git asks for it, or everything that is wrong with its file.
func (e *environment) service(name string) (*desired.Service, error) {
	if !e.has(name) {
		return nil, fmt.Errorf("there is no %s; the services there are %s", e.path(name), strings.Join(e.names(), ", "))
	}
	if s := e.snapshot.Services[name]; s != nil {
		return s, nil
	}
	return nil, e.invalid(name + ".yaml")
}

// invalid is everything that is wrong with a file, and with the environment's, which it depends on.
func (e *environment) invalid(file string) error {
	var text []string
	for _, wrong := range e.snapshot.Errors {
		if wrong.File == file || wrong.File == desired.EnvironmentFile {
			wrong.File = path.Join(e.folder, wrong.File)
			text = append(text, wrong.Error())
		}
	}
	return fmt.Errorf("%s is not valid:\n%s", path.Join(e.folder, file), strings.Join(text, "\n"))
}

// path is the service's file in the repository.
func (e *environment) path(service string) string { return path.Join(e.folder, service+".yaml") }

func (e *environment) has(service string) bool { return e.files[service+".yaml"] != nil }

func (e *environment) content(service string) []byte { return e.files[service+".yaml"].Data }

// names are the services that there are files of, in order.
func (e *environment) names() []string {
	var all []string
	for name := range e.files {
		if name != desired.EnvironmentFile {
			all = append(all, strings.TrimSuffix(name, ".yaml"))
		}
	}
	slices.Sort(all)
	return all
}

// containers are a service's, in order.
func containers(s *desired.Service) []string { return slices.Sorted(maps.Keys(s.Spec.Containers)) }
