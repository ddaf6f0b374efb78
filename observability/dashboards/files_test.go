package dashboards_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/canteen/deploy/observability/dashboards"
)

var update = flag.Bool("update", false, "write the files")

func TestFilesAreGenerated(t *testing.T) {
	for _, d := range dashboards.All() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		file := d.Name + ".json"
		if *update {
			if err := os.WriteFile(file, want, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what the code makes; run go generate ./observability/dashboards", file)
		}
	}
}
