// Package images builds the project's images as `make images` does, without a registry, and runs what came of it.
package images

import (
	"go/version"
	"os"
	"regexp"
	"strings"
	"testing"
)

// names are the images, each with its Dockerfile at the top of the repository.
var names = []string{"controller", "worker"}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestBaseImagesArePinned holds that nobody takes a digest out of the Dockerfiles again, and that both name the same ones.
func TestBaseImagesArePinned(t *testing.T) {
	want := regexp.MustCompile(`(?m)^ARG (GO_IMAGE|RUNTIME_IMAGE)=(\S+:\S+@sha256:[0-9a-f]{64})$`)
	before := ""
	for _, name := range names {
		text := read(t, "../Dockerfile."+name)
		pins := want.FindAllString(text, -1)
		if len(pins) != 2 {
			t.Errorf("Dockerfile.%s: GO_IMAGE and RUNTIME_IMAGE need a default NAME:TAG@sha256:DIGEST; it has %q", name, pins)
		}
		if all := strings.Join(pins, "\n"); before != "" && all != before {
			t.Errorf("the Dockerfiles are built on different images:\n%s\n%s", before, all)
		} else {
			before = all
		}
		for _, from := range regexp.MustCompile(`(?m)^FROM .*`).FindAllString(text, -1) {
			if !strings.HasPrefix(from, "FROM ${") {
				t.Errorf("Dockerfile.%s: %q names an image by itself; only the build arguments may", name, from)
			}
		}
	}
}

// TestBaseImageIsNewEnough: GOTOOLCHAIN=local fetches no other Go than the image's.
func TestBaseImageIsNewEnough(t *testing.T) {
	image := regexp.MustCompile(`GO_IMAGE=\S*golang:([0-9.]+)-`).FindStringSubmatch(read(t, "../Dockerfile.worker"))
	module := regexp.MustCompile(`(?m)^go ([0-9.]+)$`).FindStringSubmatch(read(t, "../go.mod"))
	if image == nil || module == nil {
		t.Fatalf("Go's version: %q in the Dockerfile, %q in go.mod", image, module)
	}
	if version.Compare("go"+image[1], "go"+module[1]) < 0 {
		t.Errorf("the image has Go %s, go.mod wants %s", image[1], module[1])
	}
}
