package githost

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/rollout"
)

// State is what is told of one ask in one environment, in the words of GitHub's deployments.
type State string

// The states.
const (
	Queued     State = "queued"      // it waits
	InProgress State = "in_progress" // it rolls, or is judged
	Success    State = "success"     // it was verified
	Failure    State = "failure"     // it was rejected
	Error      State = "error"       // it could not be judged
)

// over reports whether nothing more is expected.
func (s State) over() bool { return s == Success || s == Failure || s == Error }

// commit is the state in the words of commit statuses, which know only one for what is not over.
func (s State) commit() string {
	if s.over() {
		return string(s)
	}
	return "pending"
}

// Word is what the host should know of one service: what became of the newest ask of git.
type Word struct {
	Service string
	Commit  string // that first said it
	Ask     string
	Images  []string // container:tag@digest, in order of container
	State   State
	Detail  string // the record's state where it waits: each is told once
	Why     string
	At      time.Time // of the verdict; zero where there is none
	Rollout int       // that came to the verdict; 0 where it is to be looked up
	Revert  *Revert   // the pull request that should be open; nil for none
}

// Revert is how git would be put right.
type Revert struct {
	Commit string // that asked for what is good: the file is taken back to what it was there
	Good   string // the tags of what is good, for people
	Bad    string // those of what was rejected
	Check  string // that rejected it
	Reason string
}

// Say is what should be told of a record. ok is false where there is nothing to tell: git never asked for anything, its image is not
// known yet, or nothing was ever begun here, so that what runs was somebody else's doing.
func Say(rec rollout.Record) (w Word, ok bool) {
	target, known := rec.Asks()
	if !known || rec.Generation == 0 {
		return Word{}, false
	}
	w = Word{Service: rec.Service, Commit: target.Commit.SHA, Ask: target.Ask, Images: images(target)}
	ro, rejection := rec.Rollout, rec.RejectionOf(target.Ask)
	switch {
	case ro != nil && ro.Kind == rollout.KindDeploy && ro.Target.Ask == target.Ask:
		w.State, w.Why, w.Rollout = InProgress, rec.Why, ro.Number
	case rejection != nil:
		w.State, w.Why, w.At, w.Rollout = Failure, rejection.Message, rejection.At, rejection.Rollout
		w.Revert = revert(rec, target, *rejection)
	case rec.Stalled != nil && rec.Stalled.Wanted == target.Ask:
		w.State, w.Why, w.At, w.Rollout = Error, rec.Stalled.Message, rec.Stalled.At, rec.Stalled.Rollout
	case rec.Good != nil && rec.Good.Target.Ask == target.Ask:
		w.State, w.Why, w.At = Success, target.Name()+" was verified good", rec.Good.At
	default:
		w.State, w.Detail, w.Why = Queued, string(rec.State), rec.Why
	}
	return w, true
}

// revert is nil until what was good runs again, and where it is not known which commit asked for it.
func revert(rec rollout.Record, target rollout.Target, r rollout.Rejection) *Revert {
	if rec.State != rollout.StateReverted || rec.Good == nil || rec.Good.Target.Commit.SHA == "" {
		return nil
	}
	return &Revert{Commit: rec.Good.Target.Commit.SHA, Good: rec.Good.Target.Name(), Bad: target.Name(), Check: r.Check, Reason: r.Reason}
}

func images(t rollout.Target) []string {
	var out []string
	for name, c := range t.Containers.All() {
		out = append(out, name+":"+c.Tag+"@"+c.Digest)
	}
	return out
}

// same reports whether nothing needs to be told anew. How a wait or a rollout is described may change with every look and is told with
// the next state.
func (w Word) same(other Word) bool {
	return w.Commit == other.Commit && w.Ask == other.Ask && w.State == other.State && w.Detail == other.Detail && (w.Rollout == other.Rollout || other.Rollout == 0) &&
		(w.Revert == nil) == (other.Revert == nil)
}

// task names the service's deployments among those of the environment.
func task(service string) string { return "deploy:" + service }

// Status is one commit status.
type Status struct{ Context, State, Description, URL string }

// descriptionMax is how many characters GitHub takes of a status' description.
const descriptionMax = 140

// Context is the name of an environment's commit status.
func Context(environment string) string { return "deploy/" + environment }

// Sum is the status of a commit in an environment: the worst of all services that it asked something new of. words must not be empty.
func Sum(environment, page string, words []Word) Status {
	rank := []State{Failure, Error, InProgress, Queued, Success}
	words = slices.Clone(words)
	slices.SortFunc(words, func(a, b Word) int {
		if d := slices.Index(rank, a.State) - slices.Index(rank, b.State); d != 0 {
			return d
		}
		return strings.Compare(a.Service, b.Service)
	})
	worst := words[0]
	text := worst.Service + ": " + worst.Why
	if len(words) > 1 {
		good := 0
		for _, w := range words {
			if w.State == Success {
				good++
			}
		}
		text = fmt.Sprintf("%d of %d good", good, len(words))
		if worst.State != Success {
			text += "; " + worst.Service + ": " + worst.Why
		}
	}
	return Status{Context: Context(environment), State: worst.State.commit(), Description: clip(text), URL: Evidence(page, worst.Service, worst.Rollout)}
}

// Evidence is the address of a rollout on the controller's page, of the service where the rollout is not known, and empty without a
// page.
func Evidence(page, service string, number int) string {
	if page == "" {
		return ""
	}
	address := strings.TrimSuffix(page, "/") + "/services/" + url.PathEscape(service)
	if number > 0 {
		address += "/rollouts/" + strconv.Itoa(number)
	}
	return address
}

// clip makes one line of at most descriptionMax characters.
func clip(s string) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > descriptionMax {
		r = append(r[:descriptionMax-1], '…')
	}
	return string(r)
}
