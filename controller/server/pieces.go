package server

import (
	"html/template"
	"net/http"
)

// What a long page is sent in: a first piece as soon as there is a windowful to see, then larger ones, since each costs a system call.
const (
	firstPiece = 16 << 10
	laterPiece = 64 << 10
)

// renderLong sends a page while it is made, so that a browser paints its beginning while the server is still busy with its end. A page that
// cannot be made is told where nothing was sent yet; else the connection is cut, so that nobody takes a part for the whole.
func renderLong(w http.ResponseWriter, t *template.Template, page any) {
	out := &pieces{to: w, control: http.NewResponseController(w), size: firstPiece}
	err := t.Execute(out, page)
	switch {
	case out.gone: // a client that is gone needs no page
	case err == nil:
		out.send()
	case out.size == firstPiece:
		problem(w, http.StatusInternalServerError, "the page cannot be shown: "+err.Error())
	default:
		panic(http.ErrAbortHandler)
	}
}

// pieces keeps what is written until it is enough to be sent.
type pieces struct {
	to      http.ResponseWriter
	control *http.ResponseController
	kept    []byte
	size    int
	gone    bool // the client is
}

// Write implements io.Writer. It fails where the client is gone, which ends the making of the page.
func (p *pieces) Write(text []byte) (int, error) {
	p.kept = append(p.kept, text...)
	if len(p.kept) < p.size {
		return len(text), nil
	}
	return len(text), p.send()
}

func (p *pieces) send() error {
	if p.size == firstPiece {
		p.to.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	p.size = laterPiece
	_, err := p.to.Write(p.kept)
	if err == nil {
		err = p.control.Flush()
	}
	p.kept, p.gone = p.kept[:0], err != nil
	return err
}
