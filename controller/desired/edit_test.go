package desired

import (
	"strings"
	"testing"
)

func TestSetChangesOneValueAndNothingElse(t *testing.T) {
	const before = "# keep me\nspec:\n  containers:\n    app:   # ä comment\n      image: {tag: \"1a\\\"2\", digest: 'it''s'} # and me\n      env: {ü: plain text} # x\n"
	for _, tc := range []struct {
		path []string
		want string
	}{
		{[]string{"spec", "containers", "app", "image", "tag"}, strings.Replace(before, `"1a\"2"`, `"new"`, 1)},
		{[]string{"spec", "containers", "app", "image", "digest"}, strings.Replace(before, `'it''s'`, `"new"`, 1)},
		{[]string{"spec", "containers", "app", "env", "ü"}, strings.Replace(before, `plain text`, `"new"`, 1)},
	} {
		got, err := Set([]byte(before), "new", tc.path...)
		if err != nil || string(got) != tc.want {
			t.Errorf("%v: %v\n%s\nwant\n%s", tc.path, err, got, tc.want)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	for _, tc := range []struct{ name, file, path, want string }{
		{"nothing there", "a:\n  b: {c: x}\n", "a.b.d", "2:3: the file has no a.b.d; write it once by hand"},
		{"nothing at all", "", "a", "1:1: the file has no a"},
		{"a word on the way", "a: x\n", "a.b", "1:1: the file has no a.b"},
		{"a mapping", "a:\n  b: {c: x}\n", "a.b", "2:6: a.b is not a single value on one line"},
		{"the whole file", "a: x\n", "", "1:1: the file is not a single value on one line"},
		{"a block of text", "a: |\n  x\n", "a", "1:4: a is not a single value on one line"},
		{"a text over two lines", "a: \"x\n  y\"\n", "a", "1:4: a is not a single value on one line"},
		{"words over two lines", "a: x\n  y\n", "a", "1:4: a is not a single value on one line"},
		{"a text over two lines to YAML alone", "a: \"x\u2028  y\"\n", "a", "1:4: a is not a single value on one line"},
		{"no value", "a:\nb: x\n", "a", "a is not a single value on one line"},
		{"an anchor on the line before", "a: &t\n  x\n", "a", "1:4: a is not a single value on one line"},
		{"a tag", "a: !!str \"x\"\n", "a", "1:4: a is not a single value on one line"},
		{"an alias", "a: &t x\nb: *t\n", "b", "2:4: b is written through an alias; write it out"},
		{"below an alias", "a: &t {c: x}\nb: *t\n", "b.c", "2:4: b is written through an alias; write it out"},
		{"what an alias repeats", "a: &t x\nb: {c: *t}\n", "a", "2:8: b.c is written through an alias and would change as well; write it out"},
		{"below what an alias repeats", "a: &t {c: x}\nb: *t\n", "a.c", "2:4: b is written through an alias and would change as well; write it out"},
		{"what an alias of an alias repeats", "a: &t x\nb: &u {c: *t}\nd: [*u]\n", "a", "2:11: b.c is written through an alias"},
		{"a key that is an alias", "a: &t x\n*t : y\n", "a", "2:1: "},
		{"a second document", "a: x\n---\na: x\n", "a", "2:1: a second document begins here"},
		{"not YAML", "a: [\n", "a", "not valid YAML"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var path []string
			if tc.path != "" {
				path = strings.Split(tc.path, ".")
			}
			if got, err := Set([]byte(tc.file), "new", path...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %s\n%s", err, tc.want, got)
			}
		})
	}
}

// What stands before the value and belongs to it stays; so does what an alias repeats of something else.
func TestSetOfAnAnchor(t *testing.T) {
	for before, after := range map[string]string{
		"a: &t \"x\" # why\n":                    "a: &t \"new\" # why\n",
		"a: {b: &t  x, c: y}\n":                  "a: {b: &t  \"new\", c: y}\n",
		"a: {b: &t 'it''s'}\n":                   "a: {b: &t \"new\"}\n",
		"a: x\nb: &t {c: x}\nd: *t\n":            "a: \"new\"\nb: &t {c: x}\nd: *t\n",
		"\ufeffa: x\n":                           "\ufeffa: \"new\"\n",
		"{a: \"x\", b: \"\u2028\", c: \"\r\n\"}": "{a: \"new\", b: \"\u2028\", c: \"\r\n\"}",
	} {
		got, err := Set([]byte(before), "new", "a")
		if strings.HasPrefix(before, "a: {") {
			got, err = Set([]byte(before), "new", "a", "b")
		}
		if err != nil || string(got) != after {
			t.Errorf("%q: %v\n%q\nwant\n%q", before, err, got, after)
		}
	}
}

// YAML ends lines at a lone CR and at U+0085, U+2028 and U+2029 as well, also within quotes.
func TestSetCountsLinesAsYAMLDoes(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		file := "spec:\n  suspend: {reason: \"pasted" + end + "text\"}\n  containers:\n    app: {image: {tag: \"a4c01f7\"}}\n    web: {image: {tag: \"a4c01f7\"}}\n"
		for app, want := range map[string]string{"app": strings.Replace(file, "a4c01f7", "1a2b3c4", 1), "web": strings.Replace(file, "web: {image: {tag: \"a4c01f7", "web: {image: {tag: \"1a2b3c4", 1)} {
			if got, err := Set([]byte(file), "1a2b3c4", "spec", "containers", app, "image", "tag"); err != nil || string(got) != want {
				t.Errorf("%q, %s: %v\n%s", end, app, err, got)
			}
		}
	}
}
