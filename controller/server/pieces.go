package server

import (
	"net/http"

	g "maragu.dev/gomponents"
)

// What a long page is sent in: a first piece as soon as there is a windowful to see, then larger ones, since each costs a system call.
const (
	firstPiece = 16 << 10
	laterPiece = 64 << 10
)

// renderLong sends a page while it is made, so that a browser paints its beginning while the server is still busy with its end. Making it
// fails only where the client is gone.
func renderLong(w http.ResponseWriter, page g.Node) {
	out := &pieces{to: w, control: http.NewResponseController(w), size: firstPiece}
	if page.Render(out) == nil {
		_ = out.send() // a client that is gone needs no page
	}
}

// pieces keeps what is written until it is enough to be sent.
type pieces struct {
	to      http.ResponseWriter
	control *http.ResponseController
	kept    []byte
	size    int
}

// Write implements io.Writer. It fails where the client is gone, which ends the making of the page.
func (p *pieces) Write(text []byte) (int, error) {
	p.kept = append(p.kept, text...)
	return len(text), p.sendEnough()
}

// WriteString implements io.StringWriter, which saves a copy of each word.
func (p *pieces) WriteString(text string) (int, error) {
	p.kept = append(p.kept, text...)
	return len(text), p.sendEnough()
}

func (p *pieces) sendEnough() error {
	if len(p.kept) < p.size {
		return nil
	}
	return p.send()
}

func (p *pieces) send() error {
	if p.size == firstPiece {
		p.to.Header().Set("Content-Type", pageType)
	}
	p.size = laterPiece
	_, err := p.to.Write(p.kept)
	if err == nil {
		err = p.control.Flush()
	}
	p.kept = p.kept[:0]
	return err
}
