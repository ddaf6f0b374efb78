package main

import (
	"path/filepath"
	"testing"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/sim"
)

func TestPlanTry(t *testing.T) {
	w := newWorld(t, sim.Config{}, service{Name: "orders", Password: "of-this-test-only", Images: []image{{Tag: "1a11111"}, {Tag: "2b22222"}, {Tag: "3c33333", Crashes: true}}})
	folder := filepath.Join(w.source, "desired", "dev")
	w.ask("1a11111", "orders")
	show := func(args ...string) {
		code, out, errs := w.call(nil, append([]string{"plan", folder}, args...)...)
		t.Logf("exit %d\n%s%s", code, out, errs)
	}
	show()
	p := w.start()
	p.awaitPhase(condition.PhaseHealthy, "orders")
	show()
	show("--server", "http://"+p.addr)
	w.write("orders.yaml", w.fill("service.yaml", map[string]string{"Name": "orders", "Tag": "2b22222"}))
	show()
	show("--server", "http://"+p.addr)
	show("-o", "markdown")
	w.ask("3c33333", "orders")
	p.awaitPhase(condition.PhaseReverted, "orders")
	show()
	show("--server", "http://"+p.addr)
	show("--server", "http://"+p.addr, "-o", "json")
}
