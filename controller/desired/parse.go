package desired

import (
	"fmt"
	"path"
	"strings"
)

// File is one service's file after it was parsed alone. It may be kept while neither its blob nor environment.yaml changes.
type File struct {
	// Path is the path that was given, as errors repeat it.
	Path string
	// Service has every default filled in. It is nil when there are Errors.
	Service *Service
	// Errors are all errors of this file alone, by position.
	Errors []Error

	name      string // metadata.name, even of an invalid file
	nameAt    place
	stackAt   place
	dependsOn []dependency
}

type place struct{ line, col int }

type dependency struct {
	name string
	at   place
}

// Stem is the name of the file without its folder and .yaml: the service that the file is about.
func (f *File) Stem() string { return stem(f.Path) }

func stem(file string) string {
	base := path.Base(file)
	return strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml")
}

// Parse reads one service's file. It returns the service with every default filled in (the environment's first, which may be nil,
// then the built-in ones), or nil and every error of the file in order of position. The file's name without .yaml must be
// metadata.name. What only shows beside other files (two of the same name or of one stack, dependencies) is left to Join.
func Parse(file string, data []byte, env *Environment, kinds Kinds) (*Service, []Error) {
	f := ParseFile(file, data, env, kinds)
	return f.Service, f.Errors
}

// ParseFile is Parse with what Join needs.
func ParseFile(file string, data []byte, env *Environment, kinds Kinds) *File {
	s := open(file, data, kinds)
	svc := &Service{}
	f := &File{Path: file}
	if s.read(svc, KindService) {
		s.service(svc, env)
		f.remember(s, svc)
	}
	f.Errors = s.sorted()
	if len(f.Errors) == 0 {
		f.Service = svc
	}
	return f
}

func (f *File) remember(s *source, svc *Service) {
	f.name = svc.Metadata.Name
	f.nameAt = s.place("metadata", "name")
	f.stackAt = s.place("spec", "stack")
	for i, d := range svc.Spec.DependsOn {
		f.dependsOn = append(f.dependsOn, dependency{d, s.place("spec", "dependsOn", fmt.Sprint(i))})
	}
}

func (s *source) place(path ...string) place {
	line, col := s.locate(path, false)
	return place{line, col}
}

// ParseEnvironment reads an environment.yaml. It returns the environment with every default filled in, or nil and every error
// in order of position.
func ParseEnvironment(file string, data []byte) (*Environment, []Error) {
	s := open(file, data, Kinds{})
	env := &Environment{}
	if s.read(env, KindEnvironment) {
		s.environment(env)
		env.fill()
	}
	if errs := s.sorted(); len(errs) > 0 {
		return nil, errs
	}
	return env, nil
}
