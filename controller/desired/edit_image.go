package desired

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SetImage puts another image into a container: its tag, and its digest behind it, which is written where the file had none. No
// other byte of the file changes. A file that has a digest needs one for the new tag, too: the old one would contradict it.
func SetImage(data []byte, container string, image Image) ([]byte, error) {
	path := []string{"spec", "containers", container, "image"}
	at := func(key string) []string { return append(path[:len(path):len(path)], key) }
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("read the file to be edited: %w", err)
	}
	_, has := descend(&doc, at("digest"))
	if has && image.Digest == "" {
		return nil, errors.New("the file has a digest, which would contradict the new tag; give the new image's digest")
	}
	data, err := Set(data, image.Tag, at("tag")...)
	if err != nil || image.Digest == "" {
		return data, err
	}
	if has {
		return Set(data, image.Digest, at("digest")...)
	}
	return addDigest(data, image.Digest, path)
}

// addDigest writes a digest behind the tag, which Set has just written as a quoted string on one line.
func addDigest(data []byte, digest string, image []string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("read the file to be edited: %w", err)
	}
	parent, _ := descend(&doc, image)
	tag, ok := descend(&doc, append(image[:len(image):len(image)], "tag"))
	if !ok {
		return nil, errors.New("the file has no tag beside which the digest could be written")
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	line := lines[tag.Line-1]
	text := "digest: " + strconv.Quote(digest)
	if parent.Style&yaml.FlowStyle != 0 {
		end := byteColumn(line, tag.Column)
		end += scalarLength(line[end:], tag)
		lines[tag.Line-1] = bytes.Join([][]byte{line[:end], []byte(", " + text), line[end:]}, nil)
		return bytes.Join(lines, nil), nil
	}
	ending := "\n"
	switch {
	case bytes.HasSuffix(line, []byte("\r\n")):
		ending = "\r\n"
	case !bytes.HasSuffix(line, []byte("\n")):
		lines[tag.Line-1] = append(line[:len(line):len(line)], '\n')
	}
	// Keys of one mapping stand in one column.
	text = strings.Repeat(" ", keyColumn(parent, "tag")-1) + text + ending
	lines[tag.Line-1] = append(lines[tag.Line-1][:len(lines[tag.Line-1]):len(lines[tag.Line-1])], text...)
	return bytes.Join(lines, nil), nil
}

func keyColumn(mapping *yaml.Node, key string) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i].Column
		}
	}
	return 1
}
