package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/rehearsal"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
)

// historyAsked is how many rollouts of a service are asked for: to say how long the next may take, and to know again an image
// that was here before.
const historyAsked = 200

// fromController plans on what a running controller remembers and saw last.
func (f planFlags) fromController(ctx context.Context, in intent, p plan.Plan) (plan.Plan, error) {
	first, known, err := askRecords(ctx, f.server)
	if err != nil {
		return p, err
	}
	if first.Schema > rollout.Schema {
		return p, fmt.Errorf("the controller at %s is newer (%s) than this program, which does not understand its records; use one of its version", f.server, first.Version)
	}
	if err := wantIdentity(f.server, first, in.folder, in.snapshot.Environment); err != nil {
		return p, err
	}
	p.At = first.At
	p.Notes = []string{"The controller was asked; nobody looked at the account anew. What the controller had no cause to look at is assumed to be as it must be, and listed with the service."}
	var records []rollout.Record
	for _, k := range known {
		records = append(records, k.Record)
	}
	histories := &histories{ctx: ctx, server: f.server, known: map[string][]rollout.Entry{}}
	r := rehearsal.New(rehearsal.Remember(known, histories.of), in.snapshot, records)
	p.Services = append(p.Services, in.rehearse(ctx, r, histories.of)...)
	if histories.err != nil {
		p.Notes = append(p.Notes, "Earlier rollouts could not be read: "+histories.err.Error())
	}
	return p, ctx.Err()
}

// askRecords reads what a controller knows of all its services.
func askRecords(ctx context.Context, base string) (server.Records, []rehearsal.Known, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	body, err := open(ctx, base+"/api/v1/records", "application/x-ndjson")
	if err != nil {
		return server.Records{}, nil, err
	}
	defer body.Close()
	lines := json.NewDecoder(io.LimitReader(body, recordsMax))
	first, err := decodeIdentity(base, lines)
	if err != nil {
		return first, nil, err
	}
	var known []rehearsal.Known
	for {
		var k server.Known
		switch err := lines.Decode(&k); {
		case errors.Is(err, io.EOF) && len(known) == first.Services:
			return first, known, nil
		case err != nil:
			return first, nil, fmt.Errorf("read the records of %s after %d services: %w", base, len(known), err)
		}
		known = append(known, rehearsal.Known(k))
	}
}

// recordsMax bounds what is read of a controller: ten thousand services are about 50 MB.
const recordsMax = 512 << 20

// histories are the finished rollouts of the services that somebody asked about, each asked for once.
type histories struct {
	ctx    context.Context
	server string
	known  map[string][]rollout.Entry
	err    error // the first one
}

func (h *histories) of(service string) []rollout.Entry {
	if entries, ok := h.known[service]; ok {
		return entries
	}
	entries, err := askHistory(h.ctx, h.server, service)
	h.known[service] = entries
	h.err = cmp.Or(h.err, err)
	return entries
}

func askHistory(ctx context.Context, base, service string) ([]rollout.Entry, error) {
	body, err := ask(ctx, fmt.Sprintf("%s/api/v1/services/%s/history?limit=%d", base, url.PathEscape(service), historyAsked))
	if err != nil {
		return nil, err
	}
	var h server.History
	if err := json.Unmarshal(body, &h); err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", service, err)
	}
	var out []rollout.Entry
	for _, e := range h.Entries {
		out = append(out, e.Entry)
	}
	return out, nil
}
