package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// acceptedWithin is how long the last orders may take through outbox and queue.
const acceptedWithin = 2 * time.Minute

// listed is what the service tells of an order.
type listed struct{ ID, Status string }

// recount asks the service for every order of every school, and holds them against what was answered 201: each is there once,
// nothing else is, and each is accepted, over all the versions, reverts and schemas in between.
func (v *visitor) recount(ctx context.Context) (int, error) {
	for end := time.Now().Add(acceptedWithin); ; {
		found, err := v.list(ctx)
		if err != nil {
			return 0, err
		}
		waiting, err := v.compare(found)
		if err != nil || waiting == 0 {
			return len(found), err
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("%d of %d orders are not accepted %s after the last one", waiting, len(found), acceptedWithin)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// compare returns how many orders still wait for the kitchen.
func (v *visitor) compare(found []listed) (waiting int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	times := map[string]int{}
	for _, o := range found {
		times[o.ID]++
		switch {
		case !v.placed[o.ID]:
			return 0, fmt.Errorf("order %s was never answered 201", o.ID)
		case times[o.ID] > 1:
			return 0, fmt.Errorf("order %s is there %d times", o.ID, times[o.ID])
		case o.Status == "placed":
			waiting++
		case o.Status != "accepted":
			return 0, fmt.Errorf("order %s is %s", o.ID, o.Status)
		}
	}
	for id := range v.placed {
		if times[id] == 0 {
			return 0, fmt.Errorf("order %s was answered 201 and is lost", id)
		}
	}
	return waiting, nil
}

func (v *visitor) list(ctx context.Context) (all []listed, err error) {
	for _, school := range schools {
		for next := fmt.Sprintf("/orders?school=%s&date=%s&limit=200", school, visitDay); next != ""; {
			var page struct {
				Orders []listed
				Next   string
			}
			if err := v.get(ctx, next, &page); err != nil {
				return nil, err
			}
			all, next = append(all, page.Orders...), page.Next
		}
	}
	return all, nil
}

func (v *visitor) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+path, nil)
	if err != nil {
		return err
	}
	res, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}
