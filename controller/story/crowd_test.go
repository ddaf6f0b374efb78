package story

import "testing"

// Many services under two controllers, of which the leader loses its lease at every kind of step: nothing is done twice, by
// nobody or by two at once, and everything comes to rest. With -long they are two hundred, which takes minutes.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute of one processor")
	}
	services := 50
	if *long {
		services = 200
	}
	w, err := wander(t, Crowd(*firstFlag, services))
	if err != nil {
		t.Fatal(err)
	}
	sum := tally{families: map[string]int{}}
	sum.add(w, &drawing{})
	if sum.rollouts < 2*services {
		t.Errorf("told %s", &sum)
	}
	t.Log(sum.String())
}
