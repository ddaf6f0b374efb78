package githost

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
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
