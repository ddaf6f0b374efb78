package rollout

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Words are a few texts by name, in order of name. They are written as a map is, and take a tenth of its memory: a map has room for eight
// from the first one on, and each of ten thousand records has one or two. They are never changed.
type Words []Word

// Word is one of them.
type Word struct{ Name, Text string }

// WordsOf are the words of a map.
func WordsOf(m map[string]string) Words {
	if len(m) == 0 {
		return nil
	}
	w := make(Words, 0, len(m))
	for name, text := range m {
		w = append(w, Word{name, text})
	}
	slices.SortFunc(w, func(a, b Word) int { return cmp.Compare(a.Name, b.Name) })
	return w
}

// Get is the text of that name, and whether there is one.
func (w Words) Get(name string) (text string, ok bool) {
	i, ok := slices.BinarySearchFunc(w, name, func(one Word, name string) int { return cmp.Compare(one.Name, name) })
	if !ok {
		return "", false
	}
	return w[i].Text, true
}

// Of is the text of that name, empty where there is none.
func (w Words) Of(name string) string {
	text, _ := w.Get(name)
	return text
}

// Map is all of them.
func (w Words) Map() map[string]string {
	m := make(map[string]string, len(w))
	for _, one := range w {
		m[one.Name] = one.Text
	}
	return m
}

// With are the words with one more, or another text under its name.
func (w Words) With(name, text string) Words {
	m := w.Map()
	m[name] = text
	return WordsOf(m)
}

// MarshalJSON implements json.Marshaler.
func (w Words) MarshalJSON() ([]byte, error) { return json.Marshal(w.Map()) }

// UnmarshalJSON implements json.Unmarshaler.
func (w *Words) UnmarshalJSON(data []byte) error {
	var m map[string]string
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	*w = WordsOf(m)
	return nil
}
