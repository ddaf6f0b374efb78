package sim_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/canteen/deploy/controller/sim"
)

// targets are what the example's account has for faults that need one.
var targets = map[string]string{
	"secret-gone": "orders-dev/db", "parameter-gone": "/orders-dev/limit", "log-group-gone": "/ecs/orders-dev", "image-gone": "orders:good002",
	"alarm-red": "orders-dev-5xx", "alarm-no-data": "orders-dev-5xx", "secret-rotated": "orders-dev/db", "tasks-protected": "orders-dev/orders",
	"two-controllers": "orders-dev/orders", "count-changed": "orders-dev/orders", "zone-lost": "eu-central-1a", "zone-away": "eu-central-1a",
	"target-group-detached": "orders-dev", "target-group-deleted": "orders-dev", "stack-busy": "orders-dev", "stack-gone": "orders-dev", "tasks-stopped": "orders-dev/orders", "fargate-retirement": "orders-dev/orders",
}

// lasting are faults that take nothing back; TestCatalogue has them.
var lasting = []string{"foreign-deployment", "spot-interruption", "service-deleted", "revision-deregistered"}

// Every fault can be added and taken back, and README.md has a row for it.
func TestEveryFaultByName(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range sim.FaultNames() {
		if !strings.Contains(string(readme), "| `"+name+"` |") {
			t.Errorf("README.md has no row for %s", name)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1, Unthrottled: true}, exampleSeed(t))
		for name := range sim.FaultNames() {
			if slices.Contains(lasting, name) {
				continue
			}
			id, err := a.AddFault(t.Context(), sim.NamedFault{Name: name, Target: targets[name]})
			if err != nil {
				t.Errorf("add: %v", err)
				continue
			}
			if err := a.RemoveFault(id); err != nil {
				t.Errorf("remove %s: %v", name, err)
			}
		}
		if got := a.ArmedFaults(); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
		until(t, "the service stands when all is taken back", time.Hour, func() bool { return completed(service(t, a)) })
		if _, err := a.AddFault(t.Context(), sim.NamedFault{Name: "none"}); err == nil || !strings.Contains(err.Error(), "there are access-denied,") {
			t.Errorf("unknown: %v", err)
		}
		if a.RemoveFault(999) == nil {
			t.Error("removed what was not there")
		}
	})
}

func TestFaultsOfCallsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{}, "clusters: [c]\nfaults: [{name: throttled, operation: DescribeClusters, from: 2, times: 1}]")
		cfg := a.AWSConfig()
		cfg.RetryMaxAttempts = 1
		var got []string
		for range 3 {
			_, err := ecs.NewFromConfig(cfg).DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"c"}})
			code := "ok"
			if api, isAPI := errors.AsType[smithy.APIError](err); isAPI {
				code = api.ErrorCode()
			}
			got = append(got, code)
		}
		if strings.Join(got, " ") != "ok ThrottlingException ok" {
			t.Errorf("got %v", got)
		}
	})
}

// What happens to a service whose secret goes while it is replaced, and when it comes back.
func TestWhatIfTheSecretIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1, Unthrottled: true}, exampleSeed(t))
		client := ecs.NewFromConfig(a.AWSConfig())
		until(t, "first deployment", 10*time.Minute, func() bool { return completed(service(t, a)) })
		id, err := a.AddFault(t.Context(), sim.NamedFault{Name: "secret-gone", Target: "orders-dev/db"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.AddFault(t.Context(), sim.NamedFault{Name: "tasks-stopped", Target: "orders-dev/orders"}); err != nil {
			t.Fatal(err)
		}
		until(t, "a task that cannot start", time.Hour, func() bool {
			list := ok(t, client.ListTasks, &ecs.ListTasksInput{Cluster: aws.String("orders-dev"), DesiredStatus: ecstypes.DesiredStatusStopped})
			for _, task := range ok(t, client.DescribeTasks, &ecs.DescribeTasksInput{Cluster: aws.String("orders-dev"), Tasks: list.TaskArns}).Tasks {
				if strings.Contains(aws.ToString(task.StoppedReason), "ResourceInitializationError") && strings.Contains(*task.StoppedReason, "ResourceNotFoundException") {
					return true
				}
			}
			return false
		})
		if err := a.RemoveFault(id); err != nil {
			t.Fatal(err)
		}
		until(t, "tasks run again", time.Hour, func() bool { return service(t, a).RunningCount == 2 })
	})
}

func TestFaultsOverHTTP(t *testing.T) {
	a := open(t, sim.Config{}, "clusters: [c]")
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	call := func(method, path, body string, change ...func(*http.Request)) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range change {
			c(req)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, body := call(http.MethodPost, "/_faults", `{"name":"throttled","service":"ecs","times":1}`); code != http.StatusCreated || !strings.Contains(body, `"id":1`) {
		t.Errorf("add: %d %s", code, body)
	}
	for body, want := range map[string]string{`{"name":"x"}`: "there is no fault", `{"nme":"x"}`: "nme is not a field here", `{`: "EOF"} {
		if code, got := call(http.MethodPost, "/_faults", body); code != http.StatusBadRequest || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s", body, code, got)
		}
	}
	if code, _ := call(http.MethodPost, "/_faults", `{"name":"throttled"}`, func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }); code != http.StatusForbidden {
		t.Errorf("a page of another origin: %d", code)
	}
	var listed struct{ Armed []sim.ArmedFault }
	_, body := call(http.MethodGet, "/_faults", "")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || len(listed.Armed) != 1 || listed.Armed[0].Name != "throttled" {
		t.Errorf("list: %s, %v", body, err)
	}
	if code, _ := call(http.MethodDelete, "/_faults?id=7", ""); code != http.StatusBadRequest {
		t.Errorf("remove what is not there: %d", code)
	}
	if code, _ := call(http.MethodDelete, "/_faults", ""); code != http.StatusOK || len(a.ArmedFaults()) != 0 {
		t.Errorf("clear: %d, left %v", code, a.ArmedFaults())
	}
	// Who is not of this machine is refused, also behind another listener.
	r := httptest.NewRequest(http.MethodGet, "/_faults", nil)
	r.RemoteAddr = "192.0.2.1:1234"
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("from another machine: %d", w.Code)
	}
}
