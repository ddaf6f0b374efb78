package desired

import (
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// SetImage puts another image into a container: its tag, and its digest behind it, which is written where the file had none. No
// other byte of the file changes, and nothing else that the file says: see Set. A file that has a digest needs one for the new tag,
// too: the old one would contradict it.
func SetImage(data []byte, container string, image Image) ([]byte, error) {
	path := []string{"spec", "containers", container, "image"}
	at := func(key string) []string { return append(path[:len(path):len(path)], key) }
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	tag, err := replaced(data, doc, image.Tag, at("tag"))
	if err != nil {
		return nil, err
	}
	values := map[string]string{"tag": image.Tag}
	parent, err := descend(doc, path)
	if err != nil {
		return nil, err
	}
	_, old := directMember(parent, "digest")
	switch {
	case old == nil && image.Digest == "":
		return apply(data, doc, path, values, tag)
	case image.Digest == "":
		return nil, editError(old, "the file has a digest, which would contradict the new tag; give the new image's digest")
	}
	values["digest"] = image.Digest
	if old == nil {
		return apply(data, doc, path, values, tag, addedDigest(data, parent, tag.end, image.Digest))
	}
	digest, err := replaced(data, doc, image.Digest, at("digest"))
	if err != nil {
		return nil, err
	}
	return apply(data, doc, path, values, tag, digest)
}

// addedDigest stands behind the tag: in braces at once, else on a line of its own, in the one column that keys of a mapping stand in.
func addedDigest(data []byte, image *yaml.Node, tagEnd int, digest string) replacement {
	text := "digest: " + strconv.Quote(digest)
	if image.Style&yaml.FlowStyle != 0 {
		return replacement{tagEnd, tagEnd, ", " + text}
	}
	key, _ := directMember(image, "tag")
	end := lineEnd(data, tagEnd) // a comment is the tag's
	text = strings.Repeat(" ", key.Column-1) + text
	ending := lineBreak.Find(data[end:])
	if ending == nil {
		return replacement{end, end, "\n" + text + "\n"}
	}
	end += len(ending)
	return replacement{end, end, text + string(ending)}
}
