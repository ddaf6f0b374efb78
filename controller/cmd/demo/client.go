package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// visitor sends steady requests through the load balancer and counts those that fail.
type visitor struct {
	url    string
	client *http.Client

	sent, failed atomic.Int64
	mu           sync.Mutex
	placed       map[string]bool // ids of the orders that were answered 201
	reasons      []string        // of the first failures
}

// The pace of the visitor, and how many reasons it keeps.
const (
	visitEvery = 25 * time.Millisecond
	visitFor   = 10 * time.Second
	reasonsMax = 5
)

// The schools that order, and the day that they order for.
var schools = []string{"north", "south", "east", "west"}

const visitDay = "2030-01-01"

func newVisitor(url string) *visitor {
	return &visitor{url: url, client: &http.Client{Timeout: visitFor}, placed: map[string]bool{}}
}

// visit sends requests until ctx ends, and returns when the last one was answered.
func (v *visitor) visit(ctx context.Context) {
	tick := time.NewTicker(visitEvery)
	defer tick.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all.Go(func() { v.one(context.WithoutCancel(ctx), n) })
	}
}

// one is a canteen order every fourth time, and a look at the health page otherwise.
func (v *visitor) one(ctx context.Context, n int) {
	req, want := v.request(ctx, n)
	v.sent.Add(1)
	res, err := v.client.Do(req)
	if err != nil {
		v.fail(err.Error())
		return
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if res.StatusCode != want {
		v.fail(fmt.Sprintf("%s %s: %s %s", req.Method, req.URL.Path, res.Status, bytes.TrimSpace(body)))
		return
	}
	if want == http.StatusCreated {
		v.remember(body)
	}
}

func (v *visitor) remember(body []byte) {
	var o struct{ ID string }
	err := json.Unmarshal(body, &o)
	v.mu.Lock()
	twice := v.placed[o.ID]
	v.placed[o.ID] = true
	v.mu.Unlock()
	if err != nil || o.ID == "" || twice {
		v.fail(fmt.Sprintf("201 with an order that cannot be read or was answered before: %s", bytes.TrimSpace(body)))
	}
}

func (v *visitor) request(ctx context.Context, n int) (*http.Request, int) {
	if n%4 != 0 {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, v.url+"/health", nil)
		return req, http.StatusOK
	}
	order := fmt.Sprintf(`{"school":%q,"date":%q,"lines":[{"item":"soup","quantity":1}]}`, schools[n/4%len(schools)], visitDay)
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, v.url+"/orders", bytes.NewReader([]byte(order)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("visit-%d", n))
	return req, http.StatusCreated
}

func (v *visitor) fail(reason string) {
	v.failed.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.reasons) < reasonsMax {
		v.reasons = append(v.reasons, time.Now().Format("15:04:05.000")+" "+reason)
	}
}
