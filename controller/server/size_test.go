package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// manyServices and bytesPerService bound the first page: 2,000 services, 1 KB for each, uncompressed.
const (
	manyServices    = 2000
	bytesPerService = 1000
)

// publishMany publishes services with sentences and versions as long as real ones, one in ten in trouble.
func publishMany(b *status.Board, n int) {
	for i := range n {
		name, tag := fmt.Sprintf("order-processing-%04d", i), fmt.Sprintf("%07x", 0xa4c01f7+i)
		commit := desired.Commit{SHA: fmt.Sprintf("%040x", i+1<<20), Subject: "orders: take the menu's version from the header"}
		target := rollout.Target{Ask: "v1:" + tag, Commit: commit, Containers: rollout.NamedOf(map[string]rollout.Container{"AppContainer": {Tag: tag}})}
		version := condition.Version{Commit: commit.SHA, Images: target.Images(), Ask: target.Ask}
		v := status.View{
			Record: rollout.Record{Service: name, State: rollout.StateSettled, Good: &rollout.Good{Target: target, At: noon}},
			Status: condition.Status{Phase: condition.PhaseHealthy, Why: "Runs " + tag + " as git asks.", Since: noon, NextActionAt: time.Now().Add(time.Minute), Wanted: version, Running: version},
		}
		if i%10 == 0 {
			v.Status.Phase, v.Status.Wanted.Images = condition.PhaseReverted, []string{"AppContainer:c51d9e6"}
			v.Status.Why = "Runs " + tag + ", the last good version; c51d9e6 was rejected: 2 tasks stopped: container AppContainer exited with code 1."
			v.Status.Next = "Push a fix, or raise spec.retry to try it again."
		}
		b.Publish(v)
	}
}

func TestAServiceCostsAKilobyte(t *testing.T) {
	h := newHouse(t)
	h.board.Remove("orders")
	h.board.Remove("menu")
	empty := len(h.get("/").Body.Bytes())
	publishMany(h.board, manyServices)
	for _, path := range []string{"/", "/api/v1/services"} {
		w := h.get(path)
		if w.Code != http.StatusOK {
			t.Fatalf("%s answers %d", path, w.Code)
		}
		each := (w.Body.Len() - empty) / manyServices
		t.Logf("%s: %d bytes for each of %d services", path, each, manyServices)
		if each > bytesPerService {
			t.Errorf("%s has %d bytes for each service, want at most %d", path, each, bytesPerService)
		}
	}
}

// BenchmarkFirstPage makes the page of 2,000 services.
func BenchmarkFirstPage(b *testing.B) {
	h := newHouse(b)
	publishMany(h.board, manyServices)
	b.ReportAllocs()
	for b.Loop() {
		b.ReportMetric(float64(h.get("/").Body.Len()), "bytes")
	}
}
