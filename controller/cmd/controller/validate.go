package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/desired"
	"github.com/spf13/cobra"
)

// schemaFolder is the one folder beside the environments that is none.
const schemaFolder = "schema"

func newValidateCommand(kinds desired.Kinds) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "validate PATH…",
		Short: "Check the files of environments: everything that can be known without AWS",
		Long: "Check desired state. A PATH is the folder of one environment, the folder that holds all environments, or a single file,\n" +
			"which is checked beside the other files of its folder. Every error is printed, with file, line and column.",
		Example: "  controller validate desired\n  controller validate desired/dev desired/qa/order-processing.yaml",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return usageError{fmt.Errorf("unknown output %q; write text or json", output)}
			}
			v := validation{kinds: kinds, Folders: []folderResult{}, Errors: []desired.Error{}}
			for _, path := range args {
				if err := v.path(path); err != nil {
					return err
				}
			}
			if err := v.print(cmd.OutOrStdout(), output); err != nil {
				return fmt.Errorf("print the result: %w", err)
			}
			if len(v.Errors) > 0 {
				return errInvalid
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// validation is what was found so far. Its JSON is the command's, so fields are only ever added.
type validation struct {
	kinds   desired.Kinds
	Folders []folderResult  `json:"folders"`
	Files   []string        `json:"files,omitempty"` // valid files among the paths that were single files
	Errors  []desired.Error `json:"errors"`
}

// folderResult is one environment's folder.
type folderResult struct {
	Path        string   `json:"path"`
	Environment string   `json:"environment,omitempty"` // metadata.name, absent when environment.yaml is invalid
	Services    []string `json:"services"`
	Invalid     []string `json:"invalid"`
}

func (v *validation) path(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return usageError{fmt.Errorf("no file or folder %s: %w", path, bare(err))}
	}
	if !info.IsDir() {
		return v.file(path)
	}
	folders, err := environments(path)
	if err != nil {
		return err
	}
	if folders[0] != path {
		v.take(path, links(path))
	}
	for _, folder := range folders {
		v.folder(folder)
	}
	return nil
}

// environments are the folders of environments at a path: itself, or those in it, in order of name.
func environments(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", path, bare(err))
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return isYAML(e.Name()) }) {
		return []string{path}, nil
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != schemaFolder && !strings.HasPrefix(e.Name(), ".") {
			found = append(found, filepath.Join(path, e.Name()))
		}
	}
	if len(found) == 0 {
		return nil, usageError{fmt.Errorf("%s holds no environment; name a folder with an %s, or the folder above", path, desired.EnvironmentFile)}
	}
	return found, nil
}

// links are environments that only seem to be there: the controller reads git's own trees and follows no link in them.
func links(path string) []desired.Error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil // environments has told it
	}
	var errs []desired.Error
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 || strings.HasPrefix(e.Name(), ".") || isYAML(e.Name()) {
			continue
		}
		if info, err := os.Stat(filepath.Join(path, e.Name())); err != nil || info.IsDir() {
			errs = append(errs, desired.Error{File: e.Name(), Line: 1, Col: 1, Message: "a symbolic link, which is not followed; put the folder itself here"})
		}
	}
	return errs
}

// isYAML includes .yml, which makes a folder an environment although no file in one may end so.
func isYAML(name string) bool {
	return !strings.HasPrefix(name, ".") && (filepath.Ext(name) == ".yaml" || filepath.Ext(name) == ".yml")
}

func (v *validation) folder(path string) {
	snap := desired.Load(os.DirFS(path), v.kinds)
	result := folderResult{Path: filepath.ToSlash(path), Services: sortedNames(snap.Services), Invalid: sortedNames(snap.Invalid)}
	if snap.Environment != nil {
		result.Environment = snap.Environment.Metadata.Name
	}
	v.Folders = append(v.Folders, result)
	v.take(path, snap.Errors)
}

// file checks one file beside the others of its folder, since its defaults and what it depends on are there, and tells of this
// file alone.
func (v *validation) file(path string) error {
	folder, name := filepath.Split(path)
	if filepath.Ext(name) != ".yaml" {
		return usageError{fmt.Errorf("%s is not a *.yaml file", path)}
	}
	snap := desired.Load(os.DirFS(filepath.Clean(folder)), v.kinds)
	errs := slices.DeleteFunc(slices.Clone(snap.Errors), func(e desired.Error) bool { return e.File != name })
	v.take(folder, errs)
	if len(errs) == 0 {
		v.Files = append(v.Files, filepath.ToSlash(path))
	}
	return nil
}

// take keeps the errors under the path that the caller knows.
func (v *validation) take(folder string, errs []desired.Error) {
	for _, e := range errs {
		e.File = filepath.ToSlash(filepath.Join(folder, e.File))
		if !slices.Contains(v.Errors, e) {
			v.Errors = append(v.Errors, e)
		}
	}
}

func (v *validation) print(w io.Writer, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	var b strings.Builder
	for _, e := range v.Errors {
		fmt.Fprintln(&b, e)
	}
	for _, f := range v.Folders {
		environment := "environment invalid"
		if f.Environment != "" {
			environment = "environment " + f.Environment + " ok"
		}
		services := fmt.Sprintf("%d services ok", len(f.Services))
		if len(f.Services) == 1 {
			services = "1 service ok"
		}
		if len(f.Invalid) > 0 {
			services += fmt.Sprintf(", %d invalid", len(f.Invalid))
		}
		fmt.Fprintf(&b, "%s: %s, %s\n", f.Path, environment, services)
	}
	for _, file := range v.Files {
		fmt.Fprintf(&b, "%s: ok\n", file)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// bare is an I/O error without the path, which the message says already.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
