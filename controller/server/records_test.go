package server_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// The records come line by line, one for each service after the line that says whose they are, and nothing is in them that
// is not to be shown.
func TestRecords(t *testing.T) {
	h := newHouse(t)
	if w := h.get("/api/v1/records"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no valid environment.yaml") {
		t.Errorf("before an environment is known: %d %s", w.Code, w.Body)
	}
	h.config.Environment = func() *desired.Environment {
		return &desired.Environment{Spec: desired.EnvironmentSpec{Account: "000000000000", Region: "eu-central-1"}}
	}
	h.Handler = server.New(h.config)
	h.board.Publish(status.View{
		Record: rollout.Record{Service: "orders", Good: &rollout.Good{Revision: "orders:41"}},
		Seen: status.Keep(observed.Service{
			Name: "orders", Tags: map[string]string{"deploy:good": "orders:41", "owner": "hush"},
			Template: &observed.Template{Content: `{"Environment":[{"Name":"X","Value":"hush"}]}`},
		}, status.Kept{}, false),
	})
	h.board.Lead(status.Lease{Role: status.RoleStandby, Leader: "deploy-1"})
	if w := h.get("/api/v1/records"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "deploy-1") {
		t.Errorf("of one that stands by: %d %s", w.Code, w.Body)
	}
	h.board.Lead(status.Lease{Role: status.RoleLeader})
	w := h.get("/api/v1/records")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/x-ndjson" || strings.Contains(w.Body.String(), "hush") {
		t.Fatalf("%d %s\n%s", w.Code, w.Header(), w.Body)
	}
	lines := bufio.NewScanner(w.Body)
	lines.Scan()
	var first server.Records
	if err := json.Unmarshal(lines.Bytes(), &first); err != nil {
		t.Fatal(err)
	}
	if first.Environment != "dev" || first.Account != "000000000000" || first.Region != "eu-central-1" || first.Schema != rollout.Schema || first.Services != 2 {
		t.Errorf("first %+v", first)
	}
	var names []string
	for lines.Scan() {
		var k server.Known
		if err := json.Unmarshal(lines.Bytes(), &k); err != nil {
			t.Fatal(err)
		}
		names = append(names, k.Record.Service)
		if k.Record.Service == "orders" && (k.Seen.Tags["deploy:good"] != "orders:41" || k.Record.Good.Revision != "orders:41") {
			t.Errorf("orders %+v", k)
		}
	}
	if strings.Join(names, " ") != "menu orders" {
		t.Errorf("services %v", names)
	}
}
