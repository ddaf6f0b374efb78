package server

import (
	"bytes"
	"html/template"
	"net/http"
	"unicode/utf8"

	"github.com/canteen/deploy/controller/condition"
)

// badgeTemplate is a picture without a style sheet: where it is shown, no policy of ours counts.
var badgeTemplate = template.Must(template.New("badge").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="20" role="img" aria-label="{{.Name}}: {{.Says}}">` +
	`<title>{{.Name}}: {{.Says}}</title><rect width="{{.Width}}" height="20" rx="3" fill="#30363d"/>` +
	`<rect x="{{.Split}}" width="{{.Right}}" height="20" rx="3" fill="{{.Fill}}"/>` +
	`<g fill="#fff" font-family="Verdana,sans-serif" font-size="11"><text x="6" y="14" textLength="{{.NameWidth}}">{{.Name}}</text>` +
	`<text x="{{.SaysAt}}" y="14" textLength="{{.SaysWidth}}">{{.Says}}</text></g></svg>
`))

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
	var out bytes.Buffer
	if err := badgeTemplate.Execute(&out, badgeOf(v.Status.Service, says, v.Status.Phase)); err != nil {
		problem(w, http.StatusInternalServerError, "the badge cannot be drawn: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	_, _ = out.WriteTo(w)
}

func badgeOf(name, says string, p condition.Phase) badge {
	const letter, margin = 7, 6 // of 11 pixels, Verdana is so wide
	b := badge{Name: name, Says: says, Fill: badgeFills[tone(p)], NameWidth: letter * utf8.RuneCountInString(name), SaysWidth: letter * utf8.RuneCountInString(says)}
	b.Split = b.NameWidth + 2*margin
	b.SaysAt, b.Right = b.Split+margin, b.SaysWidth+2*margin
	b.Width = b.Split + b.Right
	return b
}
