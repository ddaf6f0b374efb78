package server

import (
	"errors"
	"html/template"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// lines is a long page whose line with the number bad, if there is one, cannot be made.
func lines(bad int) *template.Template {
	return template.Must(template.New("lines").Funcs(template.FuncMap{"line": func(n int) (string, error) {
		if n == bad {
			return "", errors.New("no such line")
		}
		return strings.Repeat("x", 1000), nil
	}}).Parse("<p>beginning</p>{{range .}}<p>{{line .}}</p>{{end}}<p>end</p>"))
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
	renderLong(w, lines(0), upTo(2000, &made))
	if w.first > 30 || w.sent < firstPiece || !strings.HasPrefix(w.Body.String(), "<p>beginning</p>") {
		t.Errorf("%d of 2,000 lines had been made, %d bytes sent, when the first piece was: %.40s", w.first, w.sent, w.Body)
	}
	if !strings.HasSuffix(w.Body.String(), "<p>end</p>") || w.Body.Len() < 2000*1000 {
		t.Errorf("%d bytes came, which end with %q", w.Body.Len(), w.Body.String()[w.Body.Len()-20:])
	}
}

func TestWhoIsGoneGetsNoFurtherLines(t *testing.T) {
	made := 0
	w := &watched{ResponseRecorder: httptest.NewRecorder(), made: &made, gone: true}
	renderLong(w, lines(0), upTo(2000, &made))
	if made > 30 {
		t.Errorf("%d lines were made for a client that was gone", made)
	}
}

// Nobody takes the part of a page that could be made for the whole.
func TestAPageThatCannotBeEndedIsCut(t *testing.T) {
	for _, bad := range []int{1, 1000} {
		made := 0
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { renderLong(w, lines(bad), upTo(2000, &made)) }))
		answer, err := http.Get(site.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		site.Close()
		switch {
		case bad == 1 && (answer.StatusCode != http.StatusInternalServerError || err != nil || !strings.Contains(string(body), "no such line")):
			t.Errorf("a page without a first line answers %d, %v: %s", answer.StatusCode, err, body)
		case bad != 1 && err == nil:
			t.Errorf("a page that broke off ends well after %d bytes", len(body))
		}
	}
}
