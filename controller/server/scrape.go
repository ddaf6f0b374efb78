package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// formats are those that a family can be told in by parts: lines of text.
var formats = []expfmt.Format{expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1}

// scrape tells the metrics while they are made: those of ten thousand services, all at once, would be three times the memory of
// everything else. What cannot be gathered is told where nothing was sent yet; else the connection is cut, so that nobody takes a part
// for the whole.
func (s *server) scrape(w http.ResponseWriter, r *http.Request) {
	select {
	case s.scrapes <- struct{}{}:
		defer func() { <-s.scrapes }()
	default:
		problem(w, http.StatusServiceUnavailable, "so many ask for the metrics now that no more are answered; ask again in a moment")
		return
	}
	families, err := s.Gatherer.Gather()
	if err != nil {
		problem(w, http.StatusInternalServerError, "the metrics cannot be gathered: "+err.Error())
		return
	}
	format := expfmt.NegotiateAccept(r.Header, formats...)
	w.Header().Set("Content-Type", string(format))
	var to io.Writer = w
	var packed *gzip.Writer
	if packs(r) {
		w.Header().Set("Content-Encoding", "gzip")
		packed, _ = gzip.NewWriterLevel(w, gzip.BestSpeed) // a level that there is
		to = packed
	}
	lines := newScraped(to, format)
	for _, f := range families {
		if err = lines.tell(f); err != nil {
			break
		}
	}
	if err == nil {
		err = s.Board.Visit(lines.tell)
	}
	if err == nil {
		err = lines.end()
	}
	if err == nil && packed != nil {
		err = packed.Close()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// packs reports whether the client takes gzip.
func packs(r *http.Request) bool {
	for _, list := range r.Header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(list, ",") {
			name, weight, weighed := strings.Cut(coding, ";")
			if strings.TrimSpace(name) == "gzip" && (!weighed || strings.Trim(weight, " q=0.") != "") {
				return true
			}
		}
	}
	return false
}

// scraped are families as text. Of a family that comes in parts, one after the other, only the first has the head.
type scraped struct {
	to      io.Writer
	encoder expfmt.Encoder
	text    bytes.Buffer
	last    string
}

func newScraped(to io.Writer, format expfmt.Format) *scraped {
	l := &scraped{to: to}
	l.encoder = expfmt.NewEncoder(&l.text, format)
	return l
}

func (l *scraped) tell(f *dto.MetricFamily) error {
	if err := l.encoder.Encode(f); err != nil {
		return err
	}
	text := l.text.Bytes()
	for f.GetName() == l.last && bytes.HasPrefix(text, []byte("#")) {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	l.last = f.GetName()
	_, err := l.to.Write(text)
	l.text.Reset()
	return err
}

// end writes what the format ends with.
func (l *scraped) end() error {
	if closer, is := l.encoder.(expfmt.Closer); is {
		if err := closer.Close(); err != nil {
			return err
		}
	}
	_, err := l.to.Write(l.text.Bytes())
	return err
}
