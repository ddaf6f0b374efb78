package server_test

import (
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// FuzzPage: whatever people write into commits, logs, files and searches, the pages have the elements and attributes that they have
// with a harmless word, and in their places; the text is nowhere but in text and in the search's own value.
func FuzzPage(f *testing.F) {
	for _, s := range []string{hostile, "a", `" onmouseover="x`, "</pre><b>", "</title><script>", "javascript:alert(1)", "<!--", "]]>", "\x00<\xff>", "&lt;b&gt;", "'`=", "\u2028</script>", "{{.}}", "line\nline\r\n</details>", strings.Repeat("<", 3000)} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, text, query string) {
		if strings.TrimSpace(text) == "" || len(text)+len(query) > 1<<16 {
			return // what is not there is left out, and that is another page
		}
		h, harmless := houseOf(t, text), houseOf(t, "word")
		for _, path := range []string{"/", "/services/orders", "/services/menu", "/services/orders/rollouts/1", "/services/orders/rollouts/3", "/activity", "/controller", "/environments"} {
			got, want := shapeOf(t, h, path), shapeOf(t, harmless, path)
			if !slices.Equal(got, want) {
				t.Errorf("%s with %q has other elements:\n%s\nwant\n%s", path, text, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		// A search shows fewer services, and nothing of its own.
		got := shapeOf(t, harmless, "/?q="+url.QueryEscape(query))
		allowed := shapeOf(t, harmless, "/")
		for _, tag := range append(got, shapeOf(t, harmless, "/?q=nothing-is-called-so")...) {
			if !slices.Contains(allowed, tag) && !slices.Contains(shapeOf(t, harmless, "/?q=nothing-is-called-so"), tag) {
				t.Errorf("the search for %q makes %s", query, tag)
			}
		}
	})
}

// shapeOf are the page's tags with their attributes, without what may differ in value: times, and what is searched for.
func shapeOf(t *testing.T, h *house, path string) []string {
	t.Helper()
	w := h.get(path)
	if w.Code != 200 {
		t.Fatalf("%s answers %d: %s", path, w.Code, w.Body)
	}
	var out []string
	for z := html.NewTokenizer(w.Body); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				t.Fatalf("%s is no HTML: %v", path, z.Err())
			}
			return out
		}
		token := z.Token()
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			tag := kind.String() + " " + token.Data
			for _, a := range token.Attr {
				tag += " " + a.Key
				if a.Key != "value" && a.Key != "datetime" && a.Key != "title" {
					tag += "=" + a.Val
				}
			}
			out = append(out, tag)
		case html.CommentToken, html.DoctypeToken:
			out = append(out, kind.String()+" "+token.Data)
		}
	}
}
