package order

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestValidateNamesEveryBrokenRule(t *testing.T) {
	good := Draft{School: "north", Date: "2026-12-01", Lines: []Line{{Item: "lentil-soup", Quantity: 3}}}
	with := func(change func(*Draft)) Draft {
		d := good
		d.Lines = slices.Clone(good.Lines)
		change(&d)
		return d
	}
	for name, tc := range map[string]struct {
		draft Draft
		want  []string // pointers
	}{
		"good":            {good, nil},
		"nothing":         {Draft{}, []string{"#/school", "#/date", "#/lines"}},
		"a person's name": {with(func(d *Draft) { d.School = "Ann Smith" }), []string{"#/school"}},
		"long school":     {with(func(d *Draft) { d.School = strings.Repeat("a", 65) }), []string{"#/school"}},
		"longest school":  {with(func(d *Draft) { d.School = strings.Repeat("a", 64) }), nil},
		"outer hyphen":    {with(func(d *Draft) { d.School = "north-" }), []string{"#/school"}},
		"line feed":       {with(func(d *Draft) { d.School = "north\n" }), []string{"#/school"}},
		"no such day":     {with(func(d *Draft) { d.Date = "2026-02-29" }), []string{"#/date"}},
		"leap day":        {with(func(d *Draft) { d.Date = "2028-02-29" }), nil},
		"a time":          {with(func(d *Draft) { d.Date = "2026-12-01T00:00:00Z" }), []string{"#/date"}},
		"zero":            {with(func(d *Draft) { d.Lines[0].Quantity = 0 }), []string{"#/lines/0/quantity"}},
		"most":            {with(func(d *Draft) { d.Lines[0].Quantity = QuantityMax }), nil},
		"too much":        {with(func(d *Draft) { d.Lines[0].Quantity = QuantityMax + 1 }), []string{"#/lines/0/quantity"}},
		"same item twice": {with(func(d *Draft) { d.Lines = append(d.Lines, Line{"lentil-soup", 1}) }), []string{"#/lines/1/item"}},
		"too many lines":  {with(func(d *Draft) { d.Lines = make([]Line, LinesMax+1) }), []string{"#/lines"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range tc.draft.Validate() {
				got = append(got, v.Pointer)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("pointers (-want +got):\n%s", diff)
			}
		})
	}
}

func drafts() *rapid.Generator[Draft] {
	word := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?`)
	line := rapid.Custom(func(t *rapid.T) Line {
		return Line{Item: word.Draw(t, "item"), Quantity: rapid.IntRange(1, QuantityMax).Draw(t, "quantity")}
	})
	return rapid.Custom(func(t *rapid.T) Draft {
		return Draft{
			School: word.Draw(t, "school"),
			Date:   rapid.SampledFrom([]string{"2026-12-01", "2028-02-29", "2027-01-31"}).Draw(t, "date"),
			Lines:  rapid.SliceOfNDistinct(line, 1, 5, func(l Line) string { return l.Item }).Draw(t, "lines"),
		}
	})
}

// What is generated as valid is valid, and two drafts share a fingerprint if and only if they are equal.
func TestFingerprintIsTheContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drafts().Draw(t, "a"), drafts().Draw(t, "b")
		if broken := a.Validate(); broken != nil {
			t.Fatalf("valid draft refused: %v", broken)
		}
		if same, equal := a.Fingerprint() == b.Fingerprint(), reflect.DeepEqual(a, b); same != equal {
			t.Fatalf("fingerprints equal: %v, drafts equal: %v", same, equal)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var again Draft
		if err := json.Unmarshal(text, &again); err != nil || again.Fingerprint() != a.Fingerprint() {
			t.Fatalf("fingerprint changed on the way through JSON (%v)", err)
		}
	})
}

// Stored fingerprints are compared with those of later releases: if this one changes, every retry that crosses a
// deployment is refused.
func TestFingerprintNeverChanges(t *testing.T) {
	d := Draft{School: "north", Date: "2026-12-01", Lines: []Line{{"lentil-soup", 3}, {"bread", 6}}}
	const want = "v1:5214586d8f063da0e75e2078e20eb5e9804861634744b0137fa59c198a4e3a28"
	if got := d.Fingerprint(); got != want {
		t.Errorf("fingerprint is %s, was %s: a new encoding needs a new prefix, and the old one must still compare", got, want)
	}
}
