package server

import (
	"net/url"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// address is a place on this site. Each name is one part of its path and each value one of its query, whatever characters they have.
func address(query url.Values, names ...string) string {
	var out strings.Builder
	for _, name := range names {
		out.WriteString("/" + url.PathEscape(name))
	}
	if len(names) == 0 {
		out.WriteString("/")
	}
	if len(query) > 0 {
		out.WriteString("?" + query.Encode())
	}
	return out.String()
}

func servicePath(service string) string { return address(nil, "services", service) }

func rolloutPath(service string, number int) string {
	return address(nil, "services", service, "rollouts", strconv.Itoa(number))
}

// link leads to a place on this site or to another by http or https. Of every other address, such as one with a script in it, only the
// words are shown.
func link(to string, words ...g.Node) g.Node {
	if !here(to) && !web(to) {
		return g.Group(words)
	}
	return h.A(h.Href(to), g.Group(words))
}

// here reports whether an address is a path on this site. A second slash, for which browsers take a backslash as well, would begin
// the name of another.
func here(to string) bool {
	return strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && !strings.HasPrefix(to, `/\`)
}

func web(to string) bool {
	u, err := url.Parse(to)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
