package server

import (
	"net/url"
	"strings"
	"testing"

	g "maragu.dev/gomponents"
)

func TestAddress(t *testing.T) {
	for want, got := range map[string]string{
		"/":                                address(nil),
		"/services/menu":                   servicePath("menu"),
		"/services/a%2Fb%3Fc%23d%25":       servicePath("a/b?c#d%"),
		"/services/menu/rollouts/3":        rolloutPath("menu", 3),
		"/?q=a%26b%3Dc+d":                  address(url.Values{"q": {"a&b=c d"}}),
		"/api/v1/activity.csv?kind=&q=%22": address(url.Values{"q": {`"`}, "kind": {""}}, "api", "v1", "activity.csv"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Whatever an address is made of, a click on it opens a page and nothing else.
func TestLinksLeadToPagesOnly(t *testing.T) {
	for to, leads := range map[string]bool{
		"/": true, "/services/menu": true, "/services/javascript:alert(1)": true,
		"http://deploy.example": true, "https://deploy.example/a?b#c": true, "HTTPS://deploy.example/": true,
		"": false, "services": false, "//evil.example/": false, `/\evil.example/`: false, `\\evil.example`: false,
		"javascript:alert(1)": false, "JavaScript:alert(1)": false, " javascript:alert(1)": false, "java\nscript:alert(1)": false, "\x01javascript:alert(1)": false,
		"javascript://https://deploy.example/%0aalert(1)": false, "javascript:alert(1)/services/menu": false,
		"data:text/html,<script>": false, "vbscript:x": false, "file:///etc/passwd": false, "https:": false, "https:evil.example": false, "http://": false,
	} {
		var out strings.Builder
		if err := link(to, g.Text("words")).Render(&out); err != nil {
			t.Fatal(err)
		}
		if got := strings.HasPrefix(out.String(), `<a href="`) && strings.HasSuffix(out.String(), `">words</a>`); got != leads || !leads && out.String() != "words" {
			t.Errorf("%q becomes %s", to, out.String())
		}
	}
}
