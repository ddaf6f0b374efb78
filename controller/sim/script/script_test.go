package script_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
)

const digest = "sha256:0123"

// stage starts one container and keeps what it says.
type stage struct {
	process ecs.Process
	mu      sync.Mutex
	lines   []string
	reports []ecs.Report
}

func (s *stage) told() []ecs.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reports)
}

func start(t *testing.T, r *script.Runner, change func(*ecs.ContainerSpec)) *stage {
	t.Helper()
	s := &stage{}
	c := ecs.ContainerSpec{
		Name: "app", Image: "registry:5000/team/web:1", Digest: digest, Ports: []int32{8080}, StopTimeout: 30 * time.Second,
		Log: func(_ time.Time, line string) { s.mu.Lock(); defer s.mu.Unlock(); s.lines = append(s.lines, line) },
	}
	change(&c)
	p, err := r.Start(ecs.Launch{Containers: []ecs.ContainerSpec{c}}, func(r ecs.Report) { s.mu.Lock(); defer s.mu.Unlock(); s.reports = append(s.reports, r) })
	if err != nil {
		t.Fatal(err)
	}
	s.process = p
	return s
}

func same(*ecs.ContainerSpec) {}

func TestAnswers(t *testing.T) {
	cases := []struct {
		name   string
		script script.Script
		want   map[time.Duration]ecs.Answer
	}{
		{"good", script.Script{}, map[time.Duration]ecs.Answer{0: {Status: 200}, time.Hour: {Status: 200}}},
		{"slow", script.Script{StartsIn: time.Minute}, map[time.Duration]ecs.Answer{59 * time.Second: {}, time.Minute: {Status: 200}}},
		{"503", script.Script{HealthStatus: 503}, map[time.Duration]ecs.Answer{0: {Status: 503}}},
		{"hangs", script.Script{Hangs: true}, map[time.Duration]ecs.Answer{0: {Timeout: true}}},
		{"sickens", script.Script{HealthyFor: time.Minute}, map[time.Duration]ecs.Answer{0: {Status: 200}, time.Minute: {Status: 503}}},
		{"hangs later", script.Script{HealthyFor: time.Minute, HangsAfter: true}, map[time.Duration]ecs.Answer{0: {Status: 200}, time.Minute: {Timeout: true}}},
		{"ends", script.Script{Exit: &script.Exit{After: time.Minute}}, map[time.Duration]ecs.Answer{0: {Status: 200}, 61 * time.Second: {}}},
	}
	for _, c := range cases {
		for after, want := range c.want {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, script.New(script.Book{{Script: c.script}}), same)
				time.Sleep(after)
				synctest.Wait()
				if got := s.process.Probe(8080); got != want {
					t.Errorf("%s after %s: %+v, want %+v", c.name, after, got, want)
				}
				if got := s.process.Probe(81); got != (ecs.Answer{}) {
					t.Errorf("%s answers on a port that it does not have: %+v", c.name, got)
				}
			})
		}
	}
}

// Lines of the instant of the exit come before it, and nothing comes after.
func TestLinesAndExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, script.New(script.Book{{Script: script.Script{
			Logs: []script.Line{{After: 2 * time.Second, Text: "panic: x"}, {After: time.Second, Text: "listening"}, {After: 3 * time.Second, Text: "never"}},
			Exit: &script.Exit{After: 2 * time.Second, Code: 2, Reason: "boom"},
		}}}), same)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(s.lines, []string{"listening", "panic: x"}) {
			t.Errorf("lines %q", s.lines)
		}
		if len(s.told()) != 1 || *s.told()[0].Exit != (ecs.Exit{Code: 2, Reason: "boom"}) {
			t.Errorf("reports %+v", s.told())
		}
		s.process.Stop()
		time.Sleep(time.Minute)
		if len(s.told()) != 1 {
			t.Error("a container that had ended ended again")
		}
	})
}

func TestStop(t *testing.T) {
	cases := []struct {
		name   string
		onStop script.Exit
		after  time.Duration
		code   int32
	}{
		{"graceful", script.Exit{}, time.Second, 0},
		{"by signal", script.Exit{After: 2 * time.Second, Code: 143}, 2 * time.Second, 143},
		{"too slow", script.Exit{After: time.Hour}, 30 * time.Second, 137},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, script.New(script.Book{{Script: script.Script{OnStop: c.onStop}}}), same)
			s.process.Stop()
			s.process.Stop()
			time.Sleep(c.after - time.Millisecond)
			synctest.Wait()
			if len(s.told()) != 0 {
				t.Errorf("%s: ended before %s", c.name, c.after)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if len(s.told()) != 1 || s.told()[0].Exit.Code != c.code {
				t.Errorf("%s: %+v, want code %d", c.name, s.told(), c.code)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	sick := script.Script{HealthStatus: 503}
	cases := []struct {
		match  script.Match
		change func(*ecs.ContainerSpec)
		want   bool
	}{
		{script.Match{}, same, true},
		{script.Match{Image: "registry:5000/team/web:1"}, same, true},
		{script.Match{Image: "registry:5000/team/web"}, same, true},
		{script.Match{Image: "team/web"}, same, true},
		{script.Match{Image: ":1"}, same, true},
		{script.Match{Image: digest}, same, true},
		{script.Match{Image: "sha256:99"}, func(c *ecs.ContainerSpec) { c.Image, c.Digest = "registry:5000/team/web@sha256:99", "" }, true},
		{script.Match{Image: "sha256:99"}, same, false},
		{script.Match{Image: ":2"}, same, false},
		{script.Match{Image: "eb"}, same, false},
		{script.Match{Container: "other"}, same, false},
		{script.Match{Command: []string{"migrate"}}, same, false},
		{script.Match{Image: "team/web", Command: []string{"migrate"}}, func(c *ecs.ContainerSpec) { c.Command = []string{"migrate", "--all"} }, true},
	}
	for _, c := range cases {
		r := script.New(script.Book{{Match: c.match, Script: sick}})
		if got := start(t, r, c.change).process.Probe(8080).Status == 503; got != c.want {
			t.Errorf("%+v matches: %v, want %v", c.match, got, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	r := script.New(script.Book{{Times: 2, Script: script.Script{HealthStatus: 503}}})
	for i, want := range []int{503, 503, 200, 200} {
		if got := start(t, r, same).process.Probe(8080).Status; got != want {
			t.Errorf("container %d answers %d, want %d", i+1, got, want)
		}
	}
}

// What a tag was resolved to still finds the tag's rule.
func TestResolve(t *testing.T) {
	r := script.New(nil)
	d, _, err := r.Resolve("web:1")
	if err != nil {
		t.Fatal(err)
	}
	if other, _, _ := r.Resolve("web:2"); other == d {
		t.Error("two tags have one digest")
	}
	r.Set(script.Book{{Match: script.Match{Image: ":1"}, Script: script.Script{PullError: "gone"}}})
	if _, _, err := r.Resolve("web@" + d); err == nil || err.Error() != "gone" {
		t.Errorf("by digest: %v", err)
	}
	if _, _, err := r.Resolve("web:2"); err != nil {
		t.Errorf("another tag: %v", err)
	}
}

func TestContainerHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := func(c *ecs.ContainerSpec) { c.HealthCheck = &ecs.HealthCheck{Command: []string{"CMD", "x"}} }
		s := start(t, script.New(script.Book{{Script: script.Script{StartsIn: 5 * time.Second}}}), check)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if len(s.told()) != 0 {
			t.Error("healthy before it started")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(s.told()) != 1 || s.told()[0].Health != types.HealthStatusHealthy {
			t.Errorf("reports %+v", s.told())
		}
	})
}
