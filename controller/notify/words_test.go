package notify

import "testing"

func TestSentence(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		" it crashed ":                 "It crashed.",
		"did it crash?":                "Did it crash?",
		"écrit en français":            "Écrit en français.",
		"and so on…":                   "And so on…",
		"\xff is no letter":            "\ufffd is no letter.",
		"orders.yaml:3:1: no":          "orders.yaml:3:1: no",
		"desired/dev/é.yaml:30:12: no": "desired/dev/é.yaml:30:12: no",
		"listen tcp :80: no":           "Listen tcp :80: no.",
	} {
		if got := sentence(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
