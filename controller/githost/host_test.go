package githost

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/githost/standin"
)

// The token goes to the API's own host, also where that sends a request on to another path of its own, and to no other host.
func TestTheTokenStaysAtItsHost(t *testing.T) {
	shown := map[string]string{}
	see := func(where string, r *http.Request) { shown[where] = r.Header.Get("Authorization") }
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		see("other", r)
		_ = json.NewEncoder(w).Encode([]any{})
	}))
	defer other.Close()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			see("moved", r)
			http.Redirect(w, r, other.URL+"/", http.StatusTemporaryRedirect)
			return
		}
		see("api", r)
		http.Redirect(w, r, "/moved", http.StatusTemporaryRedirect)
	}))
	defer api.Close()
	t.Setenv("HOST_TOKEN", "hunter2")
	host, err := Open(Options{API: api.URL, Repository: "canteen/deploy", Branch: "main", TokenEnv: "HOST_TOKEN"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := host.closePulls(t.Context(), "dev", nil); err != nil {
		t.Error(err)
	}
	for where, want := range map[string]string{"api": "Bearer hunter2", "moved": "Bearer hunter2", "other": ""} {
		if got, asked := shown[where]; !asked || got != want {
			t.Errorf("%s was asked: %t, and shown %q; want %q", where, asked, got, want)
		}
	}
}

// A ruleset that forbids the push of a revert is named in the error, since the token's permissions look right then.
func TestARulesetForbidsTheRevert(t *testing.T) {
	w := newTown(t)
	good := w.ask("a1", "orders")
	w.ask("b2", "orders")
	w.server.Refuse(func(r *http.Request) *standin.Refusal {
		if r.Method != http.MethodPut {
			return nil
		}
		return &standin.Refusal{Code: http.StatusConflict, Body: `{"message": "Repository rule violations found", "documentation_url": "https://docs.github.com/rest"}`}
	})
	_, err := w.host.pull(t.Context(), "revert/dev/orders/1", "desired/dev/orders.yaml", good, "title", "body")
	if err == nil || !strings.Contains(err.Error(), "rule violations") || !strings.Contains(err.Error(), "a ruleset may forbid the controller's App to push desired/dev/orders.yaml") {
		t.Errorf("error %v", err)
	}
	if _, _, refused := judge(err, time.Now()); !refused {
		t.Error("it is not held for a refusal any more")
	}
	w.server.Refuse(func(r *http.Request) *standin.Refusal {
		if r.Method != http.MethodPut {
			return nil
		}
		return &standin.Refusal{Code: http.StatusBadGateway, Body: "{}"}
	})
	if _, err := w.host.pull(t.Context(), "revert/dev/orders/1", "desired/dev/orders.yaml", good, "title", "body"); err == nil || strings.Contains(err.Error(), "ruleset") {
		t.Errorf("error %v, which no ruleset has to do with", err)
	}
}
