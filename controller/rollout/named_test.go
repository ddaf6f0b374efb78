package rollout

import (
	"encoding/json"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// They are what the map is that they are made of, also as JSON.
func TestNamedAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOfN(rapid.String(), rapid.String(), 0, 12).Draw(t, "map")
		w := NamedOf(m)
		if !maps.Equal(w.Map(), m) {
			t.Fatalf("%v of %v", w, m)
		}
		name, text := rapid.String().Draw(t, "name"), rapid.String().Draw(t, "text")
		have, ok := m[name]
		if got, is := w.Get(name); got != have || is != ok || w.Of(name) != have {
			t.Fatalf("%q is %q in %v", name, got, w)
		}
		more := w.With(name, text)
		if !maps.Equal(w.Map(), m) {
			t.Fatal("one more changes those before")
		}
		m[name] = text
		a, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(more)
		if err != nil || string(a) != string(b) {
			t.Fatalf("error %v, %s, want %s", err, b, a)
		}
		var back Words
		if err := json.Unmarshal(b, &back); err != nil || !maps.Equal(back.Map(), more.Map()) {
			t.Fatalf("error %v, %v came back of %v", err, back, more)
		}
	})
}
