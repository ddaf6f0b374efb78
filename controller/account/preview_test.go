package account_test

import (
	"testing"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/sim"
)

// What a plan shows must be what is then registered, to the byte, and showing it must register nothing.
func TestPreviewIsWhatIsRegistered(t *testing.T) {
	bubble(t, sim.Config{}, func(w *world) {
		seen := w.observe(observed.Look{})
		w.sim.Calls.Reset()
		shown, err := w.account.Preview(w.ctx(), seen, w.register("v2"))
		if err != nil {
			w.Fatal(err)
		}
		if n := w.sim.Calls.Count("ecs", "RegisterTaskDefinition"); n != 0 {
			w.Errorf("the preview registered %d times", n)
		}
		made := w.mustAct(w.register("v2"))
		real, err := w.account.Content(w.ctx(), made.Revision)
		if err != nil {
			w.Fatal(err)
		}
		if real != shown {
			w.Errorf("shown      %s\nregistered %s", shown, real)
		}
		other, err := w.account.Content(w.ctx(), seen.TaskDefinition)
		if err != nil || other == real {
			w.Errorf("the content of %s: %v, %s", seen.TaskDefinition, err, other)
		}
		lacking := w.register("v2")
		c := lacking.Containers[container]
		c.Secrets = map[string]string{"DB_PASSWORD": "secretsmanager:orders/none:password"}
		lacking.Containers[container] = c
		if _, err := w.account.Preview(w.ctx(), seen, lacking); !fault.Is(err, fault.Blocked) {
			w.Errorf("a secret that does not exist: %v", err)
		}
		if _, err := w.account.Content(w.ctx(), "orders:99"); !fault.Is(err, fault.NotFound) {
			w.Errorf("a revision that does not exist: %v", err)
		}
	})
}
