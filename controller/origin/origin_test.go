package origin_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/origin"
	"github.com/canteen/deploy/controller/rollout"
)

// registry is an account's, as far as one is asked.
type registry struct {
	mu    sync.Mutex
	built map[string]string
	err   error
	hangs bool
	asked []string
}

func (r *registry) BuiltOf(ctx context.Context, image string) (string, error) {
	r.mu.Lock()
	r.asked = append(r.asked, image)
	commit, err, hangs := r.built[image], r.err, r.hangs
	r.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return commit, err
}

// takeAsked is what was asked since the last time.
func (r *registry) takeAsked() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := strings.Join(r.asked, " ")
	r.asked = nil
	return asked
}

func (r *registry) set(err error, hangs bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.hangs = err, hangs
}

// world is Origins at work.
type world struct {
	*testing.T
	*registry
	*origin.Origins
	logged *observer.ObservedLogs
	reg    *prometheus.Registry
	stop   func()
}

func work(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zapcore.InfoLevel)
		w := &world{T: t, logged: logged, reg: prometheus.NewRegistry(), registry: &registry{built: map[string]string{"r@1": "aaaaaaa", "r@2": "bbbbbbb", "r@3": "ccccccc"}}}
		w.Origins = origin.New(zap.New(core), w.reg)
		w.begin()
		f(w)
		w.stop()
	})
}

func (w *world) begin() {
	w.Begin()
	ctx, stop := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() { w.Work(ctx, w.registry); close(done) }()
	w.stop = func() { stop(); <-done }
}

func target(digest string) rollout.Target {
	return rollout.Target{Containers: rollout.NamedOf(map[string]rollout.Container{"app": {Image: "r@" + digest, Tag: "v" + digest, Digest: digest}})}
}

// rolling is a record of a rollout under way, to one image from another; empty for none.
func rolling(number int, to, from string) rollout.Record {
	rec := rollout.Record{Service: "orders", State: rollout.StateRolling, Rollout: &rollout.Rollout{Number: number, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Target: target(to)}}
	if from != "" {
		rec.Good = &rollout.Good{Target: target(from)}
	}
	return rec
}

func (w *world) asks(rec rollout.Record, want string) {
	w.Helper()
	for range 3 { // every pass tells the record
		w.Note(rec)
	}
	if got := w.takeAsked(); got != want {
		w.Errorf("asked %q, want %q", got, want)
	}
}

func (w *world) knows(want map[string]string) {
	w.Helper()
	if got := w.Built("orders"); !maps.Equal(got, want) {
		w.Errorf("known are %v, want %v", got, want)
	}
}

func TestAsksOnceForARolloutThatChangesImages(t *testing.T) {
	work(t, func(w *world) {
		w.asks(rolling(1, "1", ""), "r@1")
		w.knows(map[string]string{"1": "aaaaaaa"})
		if got := w.Of("orders", []string{"1", "9"}); len(got) != 2 || got[0] != "aaaaaaa" || got[1] != "" {
			w.Errorf("in order: %q", got)
		}
		if got := w.Of("orders", []string{"9"}); got != nil {
			w.Errorf("nothing is known of it: %q", got)
		}
		settled := rolling(1, "1", "")
		settled.Rollout, settled.Good = nil, &rollout.Good{Target: target("1")}
		w.asks(settled, "")
		w.asks(rolling(2, "2", "1"), "r@2") // what was good is known
		w.knows(map[string]string{"1": "aaaaaaa", "2": "bbbbbbb"})
		w.asks(rolling(3, "2", "2"), "") // the image stays
		settled.State = rollout.StateReleased
		w.asks(settled, "")
		w.knows(nil)
	})
}

func TestAsksForNothingElse(t *testing.T) {
	for name, change := range map[string]func(*rollout.Rollout){
		"a revert":           func(r *rollout.Rollout) { r.Kind = rollout.KindRevert },
		"a taking over":      func(r *rollout.Rollout) { r.TakesOver = true },
		"a changed template": func(r *rollout.Rollout) { r.Trigger = rollout.TriggerTemplate },
		"an image not known": func(r *rollout.Rollout) { r.Target = rollout.Target{} },
		"one without address": func(r *rollout.Rollout) {
			r.Target.Containers = rollout.Containers{{Name: "app", Value: rollout.Container{Tag: "v2"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			work(t, func(w *world) {
				rec := rolling(1, "2", "")
				change(rec.Rollout)
				w.asks(rec, "")
			})
		})
	}
}

// A controller that takes over asks about what was good, too: whether the change is a way back is told by both.
func TestAsksForWhatWasGood(t *testing.T) {
	work(t, func(w *world) {
		w.asks(rolling(7, "2", "1"), "r@2 r@1")
		w.knows(map[string]string{"1": "aaaaaaa", "2": "bbbbbbb"})
		w.stop()
		w.knows(map[string]string{"1": "aaaaaaa", "2": "bbbbbbb"}) // for rollouts that end with the term
		w.begin()
		w.knows(nil)
		w.asks(rolling(7, "2", "1"), "r@2 r@1")
	})
}

// A refusal is told once, and nothing is asked for an hour; after that it may be mended.
func TestARefusalIsToldOnce(t *testing.T) {
	work(t, func(w *world) {
		w.set(fault.New(fault.Blocked, "AccessDeniedException", errors.New("not authorized to perform: ecr:BatchGetImage")), false)
		w.asks(rolling(1, "1", ""), "r@1")
		w.asks(rolling(2, "2", "1"), "")
		time.Sleep(61 * time.Minute)
		w.asks(rolling(3, "3", "2"), "r@3")
		w.knows(map[string]string{})
		if told := w.logged.FilterMessageSnippet("ecr:BatchGetImage and ecr:GetDownloadUrlForLayer").Len(); told != 1 {
			w.Errorf("told %d times", told)
		}
		w.set(nil, false)
		time.Sleep(61 * time.Minute)
		w.asks(rolling(4, "3", "2"), "r@3 r@2")
		w.knows(map[string]string{"2": "bbbbbbb", "3": "ccccccc"})
		if told := w.logged.FilterMessageSnippet("tells again").Len(); told != 1 {
			w.Errorf("that it is over is told %d times", told)
		}
		w.counted("refused", 2)
	})
}

func (w *world) counted(result string, want float64) {
	w.Helper()
	families, err := w.reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 4 {
		w.Fatalf("metrics %v, %v", families, err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == result && m.GetCounter().GetValue() != want {
			w.Errorf("%s: %v, want %v", result, m.GetCounter().GetValue(), want)
		}
	}
}

// What fails is not asked again for the rollout, and what does not answer keeps the others back for half a minute.
func TestAFailureIsLeftAlone(t *testing.T) {
	work(t, func(w *world) {
		w.set(nil, true)
		w.Note(rolling(1, "1", ""))
		other := rolling(1, "2", "")
		other.Service = "menu"
		w.Note(other)
		time.Sleep(time.Second)
		w.set(nil, false)
		if got := w.takeAsked(); got != "r@1" {
			w.Errorf("asked %q", got)
		}
		time.Sleep(30 * time.Second)
		if got := w.takeAsked(); got != "r@2" || w.Built("menu")["2"] != "bbbbbbb" {
			w.Errorf("asked %q, known %v", got, w.Built("menu"))
		}
		w.knows(map[string]string{})
		w.asks(rolling(1, "1", ""), "")
		w.counted("failed", 1)
		w.counted("found", 1)
	})
}

// An image that names no commit is known not to.
func TestAnImageThatNamesNone(t *testing.T) {
	work(t, func(w *world) {
		w.asks(rolling(1, "9", ""), "r@9")
		w.asks(rolling(2, "1", "9"), "r@1")
		w.knows(map[string]string{"9": "", "1": "aaaaaaa"})
		w.counted("none", 1)
	})
}
