package account_test

import (
	"testing"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/sim"
)

// A service is adopted although an image of it is in another account's registry, which lets nobody look: only its tags are not known.
func TestRunningWithAnImageOfAnotherAccount(t *testing.T) {
	bubble(t, sim.Config{Seed: 76}, func(w *world) {
		w.denies(sim.DefaultAccount, "orders")
		if _, err := w.account.Running(w.ctx(), cluster, service, stackName); err == nil {
			w.Error("what may not be looked at in the own account is told")
		}
		abroad := account.New(client.New(w.sim.AWSConfig(), client.Options{}), account.Options{Account: elsewhere, Region: sim.DefaultRegion})
		r, err := abroad.Running(w.ctx(), cluster, service, stackName)
		if err != nil || len(r.Containers) != 1 || len(r.Containers[0].Digests) != 1 || len(r.Containers[0].Tags) != 0 {
			w.Errorf("%+v, %v", r.Containers, err)
		}
	})
}
