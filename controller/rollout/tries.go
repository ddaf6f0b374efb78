package rollout

// A migration's task may end and say nothing about the migration: it never started, or was stopped from outside. The next one needs
// another client token, since under the same one ECS answers with the task that is over. So it is counted how many are, for each
// migration by itself: what git asks in between takes nothing back. A controller without its ledger counts from the beginning, is
// answered with the same tasks for as long as ECS remembers their tokens, and so comes to the one that runs.

// Try is how many tasks of a migration are over.
type Try struct {
	Key   string `json:"key"`
	Token string `json:"token"` // of the first one
	Over  int    `json:"over"`
}

// tries are those that the record remembers.
func (r Record) tries() []Try {
	if r.Unsettled == nil {
		return nil
	}
	return r.Unsettled.Tries
}

// over is how many tasks of the migration in flight have ended and said nothing about it.
func (r Record) over() int {
	first := token(r, 0)
	for _, t := range r.tries() {
		if t.Token == first {
			return t.Over
		}
	}
	return 0
}

// spend writes down that the task of the migration in flight is over.
func spend(rec Record) Record {
	now := Try{Key: rec.Rollout.Target.Key, Token: token(rec, 0), Over: rec.over() + 1}
	tries := append([]Try{now}, without(rec.tries(), func(t Try) bool { return t.Token == now.Token })...)
	return rec.unsettled(rec.unknown(), tries[:min(len(tries), migratedMax)])
}

// untried forgets the tries of a migration that never runs again.
func untried(rec Record, key string) Record {
	return rec.unsettled(rec.unknown(), without(rec.tries(), func(t Try) bool { return t.Key == key }))
}
