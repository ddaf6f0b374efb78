package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// signIn stands before a site as a proxy with a login does. GET /door?how= says how who is not signed in is answered from now on: "sent" on
// to a page on the same host, as most do, "asked" in the place of what was wanted, with 403 as oauth2-proxy does, or "posed" the same with
// 200 and an element main of its own. Without how everybody is signed in.
func signIn(t *testing.T, site string) string {
	behind, err := url.Parse(site)
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	var how atomic.Value
	how.Store("")
	form := func(w http.ResponseWriter, code int, page string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<!doctype html><html lang=en><title>Sign in</title>"+page)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := how.Load().(string)
		switch {
		case r.URL.Path == "/door":
			how.Store(r.FormValue("how"))
		case r.URL.Path == "/sign-in":
			form(w, http.StatusOK, "<form><button>Sign in</button></form>")
		case now == "sent":
			http.Redirect(w, r, "/sign-in", http.StatusFound)
		case now == "asked":
			form(w, http.StatusForbidden, "<form><button>Sign in</button></form>")
		case now == "posed":
			form(w, http.StatusOK, "<main id=content><form><button>Sign in</button></form></main>")
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	return front.URL
}
