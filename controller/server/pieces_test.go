package server

import (
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/canteen/deploy/controller/condition"
)

// lines is a long page of the lines that the list says, one of which breaks where its number is bad.
func lines(bad int, list iter.Seq[int]) g.Node {
	return g.Group{h.P(g.Text("beginning")), each(list, func(n int) g.Node {
		if n == bad {
			panic(http.ErrAbortHandler) // which net/http writes no log of
		}
		return h.P(g.Text(strings.Repeat("x", 1000)))
	}), h.P(g.Text("end"))}
}

// upTo counts, and how far it has come.
func upTo(n int, made *int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for *made = 1; *made <= n; *made++ {
			if !yield(*made) {
				return
			}
		}
	}
}

// watched tells what had been made and sent when the first piece was sent. After it the client may be gone.
type watched struct {
	*httptest.ResponseRecorder
	made        *int
	first, sent int
	gone        bool
}

func (w *watched) FlushError() error {
	if w.first == 0 {
		w.first, w.sent = *w.made, w.Body.Len()
	}
	if w.gone {
		return io.ErrClosedPipe
	}
	return nil
}

func TestALongPageIsSentWhileItIsMade(t *testing.T) {
	made := 0
	w := &watched{ResponseRecorder: httptest.NewRecorder(), made: &made}
	renderLong(w, lines(0, upTo(2000, &made)))
	if w.first > 30 || w.sent < firstPiece || !strings.HasPrefix(w.Body.String(), "<p>beginning</p>") {
		t.Errorf("%d of 2,000 lines had been made, %d bytes sent, when the first piece was: %.40s", w.first, w.sent, w.Body)
	}
	if !strings.HasSuffix(w.Body.String(), "<p>end</p>") || w.Body.Len() < 2000*1000 {
		t.Errorf("%d bytes came, which end with %q", w.Body.Len(), w.Body.String()[w.Body.Len()-20:])
	}
}

// The rows of the first page are made one by one, as they are sent.
func TestTheFirstPageIsSentWhileItIsMade(t *testing.T) {
	made := 0
	w := &watched{ResponseRecorder: httptest.NewRecorder(), made: &made}
	page := indexPage{Total: 2000, Rows: func(yield func(row) bool) {
		for range upTo(2000, &made) {
			if !yield(row{Status: condition.Status{Service: "menu", Why: strings.Repeat("x", 400)}}) {
				return
			}
		}
	}}
	renderLong(w, page.html())
	if w.first == 0 || w.first > 60 {
		t.Errorf("%d of 2,000 rows had been made when the first piece of %d bytes was sent", w.first, w.sent)
	}
	if rows := strings.Count(w.Body.String(), `<th role="rowheader">`); rows != 2000 || !strings.HasSuffix(w.Body.String(), "</html>") {
		t.Errorf("%d rows came", rows)
	}
}

func TestWhoIsGoneGetsNoFurtherLines(t *testing.T) {
	made := 0
	w := &watched{ResponseRecorder: httptest.NewRecorder(), made: &made, gone: true}
	renderLong(w, lines(0, upTo(2000, &made)))
	if made > 30 {
		t.Errorf("%d lines were made for a client that was gone", made)
	}
}

// Nobody takes the part of a page that could be made for the whole.
func TestAPageThatBreaksIsCut(t *testing.T) {
	for _, bad := range []int{1, 1000} {
		made := 0
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { renderLong(w, lines(bad, upTo(2000, &made))) }))
		answer, err := http.Get(site.URL)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(answer.Body)
			_ = answer.Body.Close()
		}
		site.Close()
		if err == nil {
			t.Errorf("a page whose line %d broke ends well after %d bytes", bad, len(body))
		}
		if early := bad == 1; early != (len(body) == 0) {
			t.Errorf("%d bytes came of a page whose line %d broke", len(body), bad)
		}
	}
}
