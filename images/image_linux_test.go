package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// image is an image as a registry would get it.
type image struct {
	Created time.Time `json:"created"`
	Config  struct {
		User        string
		Env         []string
		Entrypoint  []string
		Cmd         []string
		WorkingDir  string
		Labels      map[string]string
		Healthcheck struct {
			Test                           []string
			Interval, Timeout, StartPeriod time.Duration
			Retries                        int
		}
	} `json:"config"`
	History []struct {
		CreatedBy string `json:"created_by"`
	} `json:"history"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"` // digests of the layers, uncompressed
	} `json:"rootfs"`

	config []byte            // as it is
	size   int64             // bytes of all layers, as they are sent
	files  map[string]*entry // by path
	layers [][]byte
}

// entry is one file of an image's layers.
type entry struct {
	tar.Header
	content []byte
}

// export reads what would be pushed.
func (w *workshop) export(id string) *image {
	w.t.Helper()
	dir, err := os.MkdirTemp(w.dir, "export-")
	w.must(err)
	w.buildah("push", "--format", "v2s2", id, "dir:"+dir)
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct {
			Digest string
			Size   int64
		}
	}
	w.must(json.Unmarshal([]byte(read(w.t, filepath.Join(dir, "manifest.json"))), &manifest))
	blob := func(digest string) string {
		return read(w.t, filepath.Join(dir, strings.TrimPrefix(digest, "sha256:")))
	}
	i := &image{config: []byte(blob(manifest.Config.Digest)), files: make(map[string]*entry)}
	w.must(json.Unmarshal(i.config, i))
	for _, layer := range manifest.Layers {
		i.size += layer.Size
		w.must(i.addLayer([]byte(blob(layer.Digest))))
	}
	return i
}

func (i *image) addLayer(blob []byte) error {
	if bytes.HasPrefix(blob, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(bytes.NewReader(blob))
		if err != nil {
			return fmt.Errorf("layer: %w", err)
		}
		if blob, err = io.ReadAll(unzipped); err != nil {
			return fmt.Errorf("layer: %w", err)
		}
	}
	i.layers = append(i.layers, blob)
	archive := tar.NewReader(bytes.NewReader(blob))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("layer: %w", err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return fmt.Errorf("layer, %s: %w", header.Name, err)
		}
		i.files["/"+strings.Trim(header.Name, "/")] = &entry{*header, content}
	}
}

// paths are what is in the image, but for its root.
func (i *image) paths() []string {
	var all []string
	for path := range i.files {
		if path != "/" {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}

// unpack writes the image's files to a new folder, with owners and modes.
func (i *image) unpack(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for _, path := range i.paths() {
		e, to := i.files[path], filepath.Join(dir, path)
		var err error
		switch e.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(to, 0o755)
		case tar.TypeReg:
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, e.content, 0o600))
		default:
			err = fmt.Errorf("%s is of kind %c, which these images have no use for", path, e.Typeflag)
		}
		if err = errors.Join(err, os.Chown(to, e.Uid, e.Gid), os.Chmod(to, e.FileInfo().Mode().Perm())); err != nil {
			return err
		}
	}
	return nil
}
