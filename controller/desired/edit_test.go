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
	for _, tc := range []struct{ path, want string }{
		{"spec.containers.app.image.sha", "the file has no spec.containers.app.image.sha"},
		{"spec.containers.app.image", "not a single value"},
		{"", "not a single value"},
	} {
		var path []string
		if tc.path != "" {
			path = strings.Split(tc.path, ".")
		}
		if _, err := Set([]byte(before), "new", path...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.path, err, tc.want)
		}
	}
}
