package release

import (
	"strings"
	"testing"
)

// Whatever a file holds is read as it is, though one git reads them all; what is beside them and below them is left out.
func TestFolder(t *testing.T) {
	w := newWorld(t)
	want := map[string]string{
		"empty.yaml": "", "open.yaml": "no line end", "zero.yaml": "a\x00b\n\n", "same.yaml": serviceFile, "orders.yaml": serviceFile,
		"ü b.yaml": "0123456789012345678901234567890123456789 blob 3\nabc\n", "environment.yaml": environmentFile,
	}
	for name, content := range want {
		w.write("desired/dev/"+name, content)
	}
	w.write("desired/dev/notes.md", "beside")
	w.write("desired/dev/below/more.yaml", "below")
	w.commit("files")
	repo := w.newClone()
	tip, err := repo.Tip(t.Context())
	w.must(err)
	files, err := repo.Folder(t.Context(), tip, "desired/dev")
	w.must(err)
	for name, content := range want {
		if f := files[name]; f == nil || string(f.Data) != content {
			t.Errorf("%s is %v, want %q", name, f, content)
		}
	}
	if len(files) != len(want) {
		t.Errorf("there are %d files, want %d", len(files), len(want))
	}
	w.write("desired/dev/folder.yaml/more.yaml", "below")
	w.commit("a folder that is called like a file")
	if tip, err = repo.Tip(t.Context()); err == nil {
		_, err = repo.Folder(t.Context(), tip, "desired/dev")
	}
	if err == nil || !strings.Contains(err.Error(), "read desired/dev/folder.yaml at "+tip+": it is no file but a tree") {
		t.Errorf("error %v", err)
	}
}

func TestCommitOfNothing(t *testing.T) {
	w := newWorld(t)
	repo := w.newClone()
	tip, err := repo.Tip(t.Context())
	w.must(err)
	commit := func(content string) (string, error) {
		return repo.Commit(t.Context(), tip, map[string][]byte{"desired/dev/orders.yaml": []byte(content)}, "orders")
	}
	if hash, err := commit(serviceFile); err == nil || !strings.Contains(err.Error(), "no file would change") {
		t.Errorf("%q, %v", hash, err)
	}
	if hash, err := commit(serviceFile + "# more\n"); err != nil || len(hash) != 40 {
		t.Errorf("%q, %v", hash, err)
	}
}
