package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Whatever calls methods by a name that is only known as it runs makes the linker keep every exported method of every type: of AWS's SDK
// alone 26 MB that nobody calls. Templates do, and come back with any package that executes one.
func TestTheProgramExecutesNoTemplates(t *testing.T) {
	program, err := os.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, is := range map[string]bool{"text/template.(*state).evalField": false, "controller/server.New": true} {
		if bytes.Contains(program, []byte(name)) != is {
			t.Errorf("the program has %s: %v, want %v; go build -ldflags=-dumpdep tells who calls it", name, !is, is)
		}
	}
	for _, build := range []string{"Makefile", "Dockerfile.controller"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", build))
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(` build [^\n]*-tags ` + buildTags + ` [^\n]*controller/cmd/controller`).Match(text) {
			t.Errorf("%s does not build the program with -tags %s, without which gRPC executes templates", build, buildTags)
		}
	}
}
