package server

import (
	"slices"
	"time"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// stage is one stage on the rail of a rollout.
type stage struct {
	Name  string
	Mark  string // done, now, open or failed
	Took  time.Duration
	Until time.Time // of the one at work: when it is over, or fails
}

// The stages that the record has no word for: a rollout begins only with what git says validly, and a bake is for as long as
// every check has passed.
const (
	stageValidate = "validate"
	stageVerify   = "verify"
)

// stagesOf are the stages of a rollout in flight in their order, with the time that each took so far. Those that were left out,
// such as a migration where there is none, are not shown; only a deploy is validated, registered and baked.
func stagesOf(r *Rollout, now time.Time) []stage {
	spent := map[string]time.Duration{}
	for _, s := range r.Spans {
		spent[string(s.Stage)] += s.To.Sub(s.From)
	}
	current, since, until := string(r.Stage), r.StageAt, r.Deadline
	if r.Stage == rollout.StageBake {
		if unanswered(r.Readings) || r.BakeFrom.IsZero() {
			current, until = stageVerify, time.Time{}
		} else {
			spent[stageVerify], since, until = r.BakeFrom.Sub(r.StageAt), r.BakeFrom, r.BakeUntil
		}
	}
	return rail(r.Kind, spent, stage{current, "now", spent[current] + now.Sub(since), until})
}

// finished are the stages of a rollout that ended.
func finished(e *Entry) []stage {
	spent := map[string]time.Duration{}
	last := ""
	for _, s := range e.Spans {
		last = string(s.Stage)
		if s.Stage == rollout.StageBake && e.BakeFrom.After(s.From) {
			spent[stageVerify] += e.BakeFrom.Sub(s.From)
			s.From = e.BakeFrom
		}
		spent[string(s.Stage)] += s.To.Sub(s.From)
	}
	out := rail(e.Kind, spent, stage{Name: last, Mark: "done", Took: spent[last]})
	failed := slices.IndexFunc(out, func(s stage) bool { return s.Name == string(rollout.StageEvidence) }) - 1
	if failed < 0 && e.Evidence != nil {
		failed = slices.IndexFunc(out, func(s stage) bool { return s.Name == last })
	}
	for i := range out {
		if i == failed {
			out[i].Mark = "failed"
		}
	}
	return slices.DeleteFunc(out, func(s stage) bool { return s.Mark == "open" })
}

// rail puts the stages in their order around the one that it is at.
func rail(kind rollout.Kind, spent map[string]time.Duration, at stage) []stage {
	order := []string{string(rollout.StageRoll)}
	if kind == rollout.KindDeploy {
		order = []string{stageValidate, string(rollout.StageRegister), string(rollout.StageMigrate), string(rollout.StageRoll), stageVerify, string(rollout.StageBake)}
	}
	if at.Name == string(rollout.StageEvidence) {
		order = append(order, at.Name)
	}
	current := slices.Index(order, at.Name)
	var out []stage
	for i, name := range order {
		took, done := spent[name]
		switch {
		case i == current:
			out = append(out, at)
		case done || name == stageValidate:
			out = append(out, stage{Name: name, Mark: "done", Took: took})
		case i > current:
			out = append(out, stage{Name: name, Mark: "open"})
		}
	}
	return out
}

// unanswered reports whether a check has not passed.
func unanswered(readings []observed.Reading) bool {
	return slices.ContainsFunc(readings, func(r observed.Reading) bool { return r.Verdict != observed.Pass })
}
