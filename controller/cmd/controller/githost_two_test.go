package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/canteen/deploy/controller/githost/standin"
	"github.com/canteen/deploy/controller/sim"
)

// heard counts the host's requests by the name that it was called by.
type heard struct {
	mu sync.Mutex
	by map[string]int
}

func (h *heard) of(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.by[name]
}

// TestOneOfTwoTellsGit runs two controllers on one table: the one that acts tells the git host, the other asks it for nothing, until it
// takes over.
func TestOneOfTwoTellsGit(t *testing.T) {
	t.Parallel()
	j, host := newTold(t)
	j.must(j.account.Plant(t.Context(), &sim.Seed{Tables: []sim.SeedTable{{Name: "ledger", HashKey: "pk", SortKey: "sk"}}}))
	h := &heard{by: map[string]int{}}
	host.Refuse(func(r *http.Request) *standin.Refusal {
		h.mu.Lock()
		defer h.mu.Unlock()
		name, _, _ := strings.Cut(r.Host, ":")
		h.by[name]++
		return nil
	})
	const first, second = "127.0.0.1", "localhost"
	flags := append(j.speaks(host), "--ledger", "dynamodb:ledger")
	region := []string{"AWS_REGION=eu-central-1"}
	one := j.startWith(region, flags...)
	good := j.git(j.source, "rev-parse", "main")
	one.awaitStatus(host, good, "pending")
	other := j.startWith(region, append(flags, "--github-api", strings.Replace(host.URL, first, second, 1))...)
	_, sha := j.release("read MENU_URL", listens)
	one.awaitStatus(host, sha, "pending")
	other.await("orders in what it shows", func() error { _, err := other.look("orders"); return err })
	if n := h.of(second); n != 0 || h.of(first) == 0 {
		t.Fatalf("the one that acts asked %d times, the other %d times", h.of(first), n)
	}
	one.kill()
	before := h.of(first)
	_, sha = j.release("read MENU_URL where it is set", listens)
	other.awaitStatus(host, sha, "pending")
	if h.of(second) == 0 || h.of(first) != before {
		t.Errorf("after the takeover %d and %d", h.of(first)-before, h.of(second))
	}
	for _, series := range []string{"deploy_githost_pending", "deploy_githost_panics_total"} {
		other.await(series+" 0", func() error { return other.metric(series, 0) })
	}
}
