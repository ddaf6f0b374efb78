package desired

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

const otherDigest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"

func TestSetImage(t *testing.T) {
	tests := []struct{ name, before, after string }{
		{"in braces, with a digest", `{tag: "1a2b3c4", digest: 'sha256:11'} # why`, `{tag: "2b3c4d5", digest: "` + otherDigest + `"} # why`},
		{"in braces, without one", `{tag: 1a2b3c4} # why`, `{tag: "2b3c4d5", digest: "` + otherDigest + `"} # why`},
		{"with other spaces", `{ tag:   '1a2b3c4' }`, `{ tag:   "2b3c4d5", digest: "` + otherDigest + `" }`},
		{"one under the other", "\n        tag: 1a2b3c4 # from CI\n        digest: \"sha256:11\"", "\n        tag: \"2b3c4d5\" # from CI\n        digest: \"" + otherDigest + `"`},
		{"alone on its line", "\n        tag: 1a2b3c4 # from CI", "\n        tag: \"2b3c4d5\" # from CI\n        digest: \"" + otherDigest + `"`},
	}
	for _, tt := range tests {
		for _, ending := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028"} {
			t.Run(tt.name, func(t *testing.T) {
				file := func(image string) string {
					return strings.ReplaceAll("# head\nspec:\n  containers:\n    app:\n      image: "+image+"\n      env: {A: b}   # ä\n", "\n", ending)
				}
				got, err := SetImage([]byte(file(tt.before)), "app", Image{Tag: "2b3c4d5", Digest: otherDigest})
				if err != nil || string(got) != file(tt.after) {
					t.Errorf("%v\n%s\nwant\n%s", err, got, file(tt.after))
				}
			})
		}
	}
}

func TestSetImageAtTheEndOfTheFile(t *testing.T) {
	got, err := SetImage([]byte("spec:\n  containers:\n    app:\n      image:\n        tag: a"), "app", Image{Tag: "b", Digest: otherDigest})
	want := "spec:\n  containers:\n    app:\n      image:\n        tag: \"b\"\n        digest: \"" + otherDigest + "\"\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

func TestSetImageRefuses(t *testing.T) {
	const file = "spec:\n  containers:\n    app:\n      image: {tag: a, digest: \"sha256:11\"}\n    bare:\n      image: {digest: \"sha256:11\"}\n" +
		"    shared: {image: &i {tag: a}}\n    shares: {image: *i}\n    told: {image: {tag: &t a}, env: {VERSION: *t}}\n    half: {image: {tag: b, digest: *t}}\n"
	for _, tt := range []struct {
		container string
		image     Image
		want      string
	}{
		{"app", Image{Tag: "b"}, "would contradict the new tag"},
		{"bare", Image{Tag: "b", Digest: otherDigest}, "the file has no spec.containers.bare.image.tag"},
		{"none", Image{Tag: "b", Digest: otherDigest}, "the file has no spec.containers.none.image.tag"},
		{"shared", Image{Tag: "b"}, "8:21: spec.containers.shares.image is written through an alias and would change as well; write it out"},
		{"shared", Image{Tag: "a", Digest: otherDigest}, "8:21: spec.containers.shares.image is written through an alias and would change as well; write it out"},
		{"shares", Image{Tag: "b"}, "8:21: spec.containers.shares.image is written through an alias; write it out"},
		{"told", Image{Tag: "b"}, "9:47: spec.containers.told.env.VERSION is written through an alias and would change as well; write it out"},
		{"half", Image{Tag: "b", Digest: otherDigest}, "10:36: spec.containers.half.image.digest is written through an alias; write it out"},
	} {
		if got, err := SetImage([]byte(file), tt.container, tt.image); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want %q\n%s", tt, err, tt.want, got)
		}
	}
}

// Whatever stands around it: the image is the new one, everything else is as before, and doing it twice changes nothing.
func TestSetImageChangesTheImageAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scalar := rapid.SampledFrom([]string{"a", "'it''s'", `"q\"ü"`, "1a2b3c4"})
		anchor := rapid.SampledFrom([]string{"", "&t "})
		image := "{tag: " + anchor.Draw(t, "anchor") + scalar.Draw(t, "tag")
		if rapid.Bool().Draw(t, "digest") {
			image += ", digest: " + scalar.Draw(t, "old")
		}
		image += "}"
		if rapid.Bool().Draw(t, "block") {
			image = strings.NewReplacer("{", "\n        ", ", ", "\n        ", "}", "").Replace(image)
		}
		comment := rapid.SampledFrom([]string{"", " # ünder {tag: x}", " #"}).Draw(t, "comment")
		end := rapid.SampledFrom([]string{"", "\n", "\r", "\u0085", "\u2028", "\u2029"}).Draw(t, "end")
		file := "# ä\nspec:\n  suspend: {reason: 'pasted" + end + " text'}\n  containers:\n    app:\n      image: " + image + comment + "\n      env: {TAG: tag, ü: " + scalar.Draw(t, "env") + "}\n    other: {image: {tag: x}}\n"
		got, err := SetImage([]byte(file), "app", Image{Tag: "2b3c4d5", Digest: otherDigest})
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		var before, after map[string]any
		if err := yaml.Unmarshal([]byte(file), &before); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(got, &after); err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		app := func(m map[string]any) map[string]any {
			return m["spec"].(map[string]any)["containers"].(map[string]any)["app"].(map[string]any)
		}
		if i := app(after)["image"].(map[string]any); i["tag"] != "2b3c4d5" || i["digest"] != otherDigest || len(i) != 2 {
			t.Fatalf("the image is %v\n%s", i, got)
		}
		app(before)["image"] = app(after)["image"]
		if a, b := marshal(t, before), marshal(t, after); a != b {
			t.Fatalf("more than the image changed:\n%s\n%s", a, b)
		}
		if strings.Count(string(got), "#") != strings.Count(file, "#") {
			t.Fatalf("a comment is gone:\n%s\n%s", file, got)
		}
		if twice, err := SetImage(got, "app", Image{Tag: "2b3c4d5", Digest: otherDigest}); err != nil || string(twice) != string(got) {
			t.Fatalf("a second time: %v\n%s\n%s", err, got, twice)
		}
	})
}

func marshal(t *rapid.T, v any) string {
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
