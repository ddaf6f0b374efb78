package rollout

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// What any shape finds has a hint in it: a shape without one would never be asked. The texts are drawn from the shapes themselves, in
// every case that their letters may have, among whatever else may stand there.
func TestEveryShapeIsHinted(t *testing.T) {
	for _, s := range secretShapes {
		found := rapid.StringMatching(s.shape.String())
		t.Run(s.shape.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				text := rapid.String().Draw(t, "before") + " " + found.Draw(t, "found") + rapid.String().Draw(t, "after")
				if !hinted(text) {
					t.Fatalf("%q has no hint", text)
				}
			})
		})
	}
}

// The hints change no result, whatever pieces of secrets a text is put together of.
func TestHintsChangeNothing(t *testing.T) {
	var pieces []string
	for _, list := range secretHints {
		pieces = append(pieces, list...)
	}
	pieces = append(pieces, "://", "user:", "@", "?", "&", ";", "=", ":", " is ", " was ", `"`, `\"`, "'", " ", "\n", "Bearer ", "-----END PRIVATE KEY-----",
		"PRIVATE KEY-----", "ABCDEFGHIJKLMNOP", "0a1b2c3d4e5f6a7b8c9d0", ".", "_", "-", "x-amz-", "security-token", "com/services/", "[redacted]", "é")
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(0, 12).Draw(t, "pieces") {
			for _, r := range rapid.SampledFrom(pieces).Draw(t, "piece") {
				// Another letter that counts as the same one now and then, and a piece that is cut off.
				for range rapid.IntRange(0, 2).Draw(t, "folds") {
					r = unicode.SimpleFold(r)
				}
				if rapid.IntRange(0, 30).Draw(t, "cut") > 0 {
					text.WriteRune(r)
				}
			}
		}
		if quick, whole := Redact(text.String()), redactAll(text.String()); quick != whole {
			t.Fatalf("%q became %q, and %q by every shape", text.String(), quick, whole)
		}
	})
}
