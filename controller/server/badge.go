package server

import (
	"net/http"
	"strconv"
	"unicode/utf8"

	g "maragu.dev/gomponents"

	"github.com/canteen/deploy/controller/condition"
)

type badge struct {
	Name, Says, Fill                                  string
	Width, Split, Right, NameWidth, SaysAt, SaysWidth int
}

// badgeFills are dark enough for white letters (at least 4.5 to 1).
var badgeFills = map[string]string{"good": "#116329", "bad": "#a40e26", "odd": "#7d4e00", "busy": "#0550ae", "calm": "#57606a"}

// badge answers /services/{name}/badge.svg: the service's phase and version, for other people's pages.
func (s *server) badge(w http.ResponseWriter, r *http.Request) {
	v := s.Board.Service(r.PathValue("name"))
	if v == nil {
		noService(w, r.PathValue("name"))
		return
	}
	says := v.Status.Phase.Glyph() + " " + string(v.Status.Phase)
	if tags := Tags(v.Status.Running); tags != "" {
		says += " " + tags
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	render(w, "image/svg+xml", badgeOf(v.Status.Service, says, v.Status.Phase).svg())
}

func badgeOf(name, says string, p condition.Phase) badge {
	const letter, margin = 7, 6 // of 11 pixels, Verdana is so wide
	b := badge{Name: name, Says: says, Fill: badgeFills[tone(p)], NameWidth: letter * utf8.RuneCountInString(name), SaysWidth: letter * utf8.RuneCountInString(says)}
	b.Split = b.NameWidth + 2*margin
	b.SaysAt, b.Right = b.Split+margin, b.SaysWidth+2*margin
	b.Width = b.Split + b.Right
	return b
}

// svg is the badge without a style sheet: where it is shown, no policy of ours counts.
func (b badge) svg() g.Node {
	number := func(name string, n int) g.Node { return g.Attr(name, strconv.Itoa(n)) }
	whole := b.Name + ": " + b.Says
	return g.El("svg", g.Attr("xmlns", "http://www.w3.org/2000/svg"), number("width", b.Width), number("height", 20),
		g.Attr("role", "img"), g.Attr("aria-label", whole),
		g.El("title", g.Text(whole)),
		g.El("rect", number("width", b.Width), number("height", 20), number("rx", 3), g.Attr("fill", "#30363d")),
		g.El("rect", number("x", b.Split), number("width", b.Right), number("height", 20), number("rx", 3), g.Attr("fill", b.Fill)),
		g.El("g", g.Attr("fill", "#fff"), g.Attr("font-family", "Verdana,sans-serif"), number("font-size", 11),
			g.El("text", number("x", 6), number("y", 14), number("textLength", b.NameWidth), g.Text(b.Name)),
			g.El("text", number("x", b.SaysAt), number("y", 14), number("textLength", b.SaysWidth), g.Text(b.Says)),
		),
	)
}
