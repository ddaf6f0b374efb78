package elb_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/elb"
)

// realTarget serves HTTP on this machine under a private address.
func realTarget(t *testing.T, ip string, h http.HandlerFunc) (ecs.Target, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return ecs.Target{ID: ip, Port: 8080, Address: s.Listener.Addr().String()}, s
}

func get(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
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

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func realFixture(t *testing.T) (f *fixture, url string) {
	t.Helper()
	f = newFixture(t, elb.Config{Listen: true, FirstCheck: time.Millisecond}, false, &elbv2.CreateTargetGroupInput{
		HealthCheckPath: aws.String("/healthz"), HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2),
	})
	return f, "http://" + f.Address(f.attach(t))
}

func (f *fixture) register(t *testing.T, targets ...ecs.Target) {
	t.Helper()
	for _, to := range targets {
		if err := f.Register(f.group, to); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "healthy targets", func() bool {
		n := 0
		for _, h := range f.health(t) {
			if strings.Contains(h, " healthy ") {
				n++
			}
		}
		return n >= len(targets)
	})
}

func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", name, r.Method, r.URL.Path, body)
	}
}

func TestRoundRobinOverHealthyTargets(t *testing.T) {
	f, url := realFixture(t)
	if code, _ := get(t, http.MethodGet, url, ""); code != http.StatusServiceUnavailable {
		t.Errorf("without targets: got %d, want 503", code)
	}
	a, _ := realTarget(t, "10.0.0.1", named("a"))
	b, _ := realTarget(t, "10.0.0.2", named("b"))
	sick, _ := realTarget(t, "10.0.0.3", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	f.register(t, a, b)
	if err := f.Register(f.group, sick); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 20 {
		code, body := get(t, http.MethodPost, url+"/orders", "x=1")
		seen[fmt.Sprint(code, " ", body)]++
	}
	if seen["200 a POST /orders x=1"] != 10 || seen["200 b POST /orders x=1"] != 10 {
		t.Errorf("20 requests went %v", seen)
	}
}

// Where no target is healthy, every one of them gets requests.
func TestFailsOpen(t *testing.T) {
	f, url := realFixture(t)
	sick, _ := realTarget(t, "10.0.0.1", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sick", http.StatusTeapot) })
	if err := f.Register(f.group, sick); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, http.MethodGet, url, ""); code != http.StatusTeapot || body != "sick\n" {
		t.Errorf("got %d %q", code, body)
	}
}

// A target that died without a word: nothing could be sent to it, so another one gets the request, whole.
func TestRequestsGoElsewhereWhenNoConnectionOpens(t *testing.T) {
	f, url := realFixture(t)
	a, dying := realTarget(t, "10.0.0.1", named("a"))
	b, _ := realTarget(t, "10.0.0.2", named("b"))
	f.register(t, a, b)
	dying.Close()
	for range 10 {
		if code, body := get(t, http.MethodPost, url+"/orders", "x=1"); code != http.StatusOK || body != "b POST /orders x=1" {
			t.Fatalf("got %d %s", code, body)
		}
	}
	f.Deregister(f.group, b)
	if code, _ := get(t, http.MethodGet, url, ""); code != http.StatusBadGateway {
		t.Errorf("only a dead target left: got %d, want 502", code)
	}
}

// A target that took the request and broke off: the request may have had its effect, so nobody else gets it.
func TestRequestsThatWereSentAreNotSentAgain(t *testing.T) {
	f, url := realFixture(t)
	breaking, _ := realTarget(t, "10.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			panic(http.ErrAbortHandler)
		}
	})
	calls := make(chan string, 100)
	good, _ := realTarget(t, "10.0.0.2", func(_ http.ResponseWriter, r *http.Request) { calls <- r.URL.Path })
	f.register(t, breaking, good)
	codes := map[int]int{}
	for range 10 {
		code, _ := get(t, http.MethodPost, url+"/orders", "x=1")
		codes[code]++
	}
	if codes[http.StatusBadGateway] != 5 || codes[http.StatusOK] != 5 {
		t.Errorf("answers %v, want half 502 and half 200", codes)
	}
}

func TestDrainingLetsRequestsFinish(t *testing.T) {
	f, url := realFixture(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	slow, _ := realTarget(t, "10.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		fmt.Fprint(w, "slow")
	})
	other, _ := realTarget(t, "10.0.0.2", named("other"))
	f.register(t, slow)

	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get(url + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		answer <- fmt.Sprint(resp.StatusCode, " ", string(b), " ", err)
	}()
	<-arrived
	f.register(t, other)
	f.Deregister(f.group, slow)
	for range 10 {
		if _, body := get(t, http.MethodGet, url+"/new", ""); !strings.HasPrefix(body, "other") {
			t.Errorf("a draining target got a new request: %s", body)
		}
	}
	close(release)
	if got := <-answer; got != "200 slow <nil>" {
		t.Errorf("the request under way got %q", got)
	}
}

func TestListenerTakesTheRealPortAndGivesItBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	f := newFixture(t, elb.Config{Listen: true}, false, &elbv2.CreateTargetGroupInput{})
	f.SetRealPort("front", 80, port)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	arn := f.attach(t)
	if got, want := f.Address(arn), fmt.Sprintf("127.0.0.1:%d", port); got != want {
		t.Errorf("listens on %s, want %s", got, want)
	}
	if _, err := f.DeleteListener(t.Context(), &elbv2.DeleteListenerInput{ListenerArn: &arn}); err != nil {
		t.Fatal(err)
	}
	again, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatalf("the port is not free again: %v", err)
	}
	again.Close()
}
