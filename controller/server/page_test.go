package server_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// parsed is a page as a browser would read it.
func parsed(t *testing.T, h *house, path string) *html.Node {
	t.Helper()
	w := h.get(path)
	if w.Code != http.StatusOK {
		t.Fatalf("%s answers %d: %s", path, w.Code, w.Body)
	}
	doc, err := html.Parse(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func elements(doc *html.Node, name string) (out []*html.Node) {
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			out = append(out, n)
		}
	}
	return out
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// What people write into commits, logs and files is text: it makes no element and no attribute.
func TestPagesEscapeEverything(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/", "/services/orders", "/services/orders/rollouts/1", "/services/orders/rollouts/3", "/activity", "/controller", "/environments", "/?q=" + "%3Cscript%3Ealert(1)%3C/script%3E"} {
		t.Run(path, func(t *testing.T) {
			doc := parsed(t, h, path)
			for _, s := range elements(doc, "script") {
				if attribute(s, "src") != "/static/page.js" || text(s) != "" {
					t.Errorf("a script that is not ours: %v %q", s.Attr, text(s))
				}
			}
			if images := elements(doc, "img"); len(images) > 0 {
				t.Errorf("%d images", len(images))
			}
			for n := range doc.Descendants() {
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "style" || (a.Key == "href" && !regexp.MustCompile(`^[/#]`).MatchString(a.Val)) {
						t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
					}
				}
			}
			if !strings.Contains(text(doc), "<script>alert(1)</script>") {
				t.Error("the hostile text is not shown as text: this test looks at nothing")
			}
		})
	}
}

func TestIndexStructure(t *testing.T) {
	h := newHouse(t)
	doc := parsed(t, h, "/")
	var rows [][]string
	for _, tr := range elements(elements(doc, "tbody")[0], "tr") {
		var cells []string
		for c := range tr.ChildNodes() {
			if c.Type == html.ElementNode {
				cells = append(cells, text(c))
			}
		}
		rows = append(rows, cells)
	}
	if len(rows) != 2 || rows[0][0] != "orders" || rows[1][0] != "menu" {
		t.Fatalf("rows %v, want the reverting service first", rows)
	}
	for i, want := range []string{"orders", "↩ Reverting for AGE", "1a2b3c4 (feedfac) is being put back git asks 1a2b3c4 (feedfac)", "Puts 41 back: " + strings.Join(strings.Fields(hostile), " "), "serves again once its tasks run"} {
		if got := regexp.MustCompile(`\d+d( \d+h)?`).ReplaceAllString(rows[0][i], "AGE"); got != want {
			t.Errorf("column %d is %q, want %q", i, got, want)
		}
	}
	page := text(doc)
	for _, want := range []string{"desired/dev/kitchen.yaml:7:3", "git 0123456", "v1.2.3", "2 services"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if lang := attribute(elements(doc, "html")[0], "lang"); lang != "en" {
		t.Errorf("language %q", lang)
	}
	noscript := elements(doc, "noscript")
	if len(noscript) != 1 || !strings.Contains(h.get("/").Body.String(), `<noscript><meta http-equiv="refresh" content="30"></noscript>`) {
		t.Error("without a script the page does not refresh itself")
	}
}

func TestIndexSearch(t *testing.T) {
	h := newHouse(t)
	tests := []struct {
		query string
		want  []string
	}{
		{"", []string{"orders", "menu"}},
		{"ORD", []string{"orders"}},
		{"Healthy", []string{"menu"}},
		{"orders feedfac", []string{"orders"}},
		{"orders healthy", nil},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			var got []string
			for _, body := range elements(parsed(t, h, "/?q="+strings.ReplaceAll(tt.query, " ", "+")), "tbody") {
				for _, th := range elements(body, "th") {
					got = append(got, text(th))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("shows %v, want %v", got, tt.want)
			}
		})
	}
}

func TestServicePageStructure(t *testing.T) {
	h := newHouse(t)
	doc := parsed(t, h, "/services/orders")
	details := elements(doc, "details")
	if len(details) != 1 || attribute(details[0], "id") != "evidence-1" {
		t.Fatalf("%d details, want the evidence of rollout 1", len(details))
	}
	for _, want := range []string{"AppContainer exit code 3", "Targets", "orders-5xx ALARM", "Last log lines"} {
		if !strings.Contains(text(details[0]), want) {
			t.Errorf("the evidence lacks %q", want)
		}
	}
	var current []string
	for _, li := range elements(doc, "li") {
		if attribute(li, "aria-current") == "step" {
			current = append(current, text(li))
		}
	}
	if len(current) != 1 || !strings.HasPrefix(current[0], "roll") {
		t.Errorf("current stage %v, want roll", current)
	}
	page := text(doc)
	for _, want := range []string{"secret from secretsmanager:orders/db:password", "revert #3 in flight", "Ready False Reverting", "1 of 2 running", "1m", "team ordering"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// Of what happens to a service the page tells the changes of phase and the ends of rollouts; the events tell every sentence.
func TestActivityLeavesSentencesOut(t *testing.T) {
	h := newHouse(t)
	v := reverted()
	v.Status.Why = "Still puts 41 back."
	h.board.Publish(v)
	h.board.Finished(entry(1, rollout.ResultRejected, nil))
	v.Status.Phase, v.Status.Why = condition.PhaseReverted, "Runs 41."
	h.board.Publish(v)
	var got []string
	for _, ol := range elements(parsed(t, h, "/"), "ol") {
		for _, li := range elements(ol, "li") {
			_, what, _ := strings.Cut(text(li), " ago ")
			got = append(got, strings.Join(strings.Fields(what)[:4], " "))
		}
	}
	want := []string{"orders ↩ Reverted Runs", "orders deploy #1 rejected", "git: one file is", "menu ✔ Healthy All", "orders ↩ Reverting Puts"}
	if !slices.Equal(got, want) {
		t.Errorf("tells %q, want %q", got, want)
	}
}

func TestAPageThatIsNotReadySaysWhy(t *testing.T) {
	h := newHouse(t)
	h.reasons = []string{"git cannot be read: no route"}
	for _, path := range []string{"/", "/services/orders"} {
		if got := text(parsed(t, h, path)); !strings.Contains(got, "The controller does not work now git cannot be read: no route") {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestEmptyBoard(t *testing.T) {
	h := newHouse(t)
	h.board.Remove("orders")
	h.board.Remove("menu")
	if got := text(parsed(t, h, "/")); !strings.Contains(got, "No service is known yet.") {
		t.Errorf("page %q", got)
	}
}

// Two thousand services must be on the page in less than 300 ms.
func BenchmarkIndex(b *testing.B) {
	h := newHouse(b)
	for i := range 2000 {
		v := reverted()
		v.Record.Service = fmt.Sprintf("service-%04d", i)
		v.Status.Phase = condition.Phases()[i%len(condition.Phases())]
		v.Record.State = rollout.StateSettled
		v.Status.NextActionAt = noon.Add(time.Hour)
		h.board.Publish(status.View{Record: v.Record, Status: v.Status})
	}
	for b.Loop() {
		if w := h.get("/"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
