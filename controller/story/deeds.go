package story

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim/wire"
)

// change edits files and commits them.
func (t *Telling) change(subject string, edit func() error) error {
	return t.changeBy(subject, t.repo.commit, edit)
}

// changeBy does so by another way to commit.
func (t *Telling) changeBy(subject string, commit func(subject string) (string, error), edit func() error) error {
	if err := edit(); err != nil {
		return err
	}
	sha, err := commit(subject)
	if err != nil {
		return err
	}
	t.journal.add("git", "commit %s %q", sha, subject)
	return t.foresee()
}

// notes changes a file that is no environment's.
func (t *Telling) notes() error {
	return os.WriteFile(t.repo.dir+"/NOTES.md", []byte(strconv.Itoa(len(t.repo.words))), 0o600)
}

// confirm commits the trailer that lets a mass change pass, and nothing of the environment's.
func (t *Telling) confirm(what string) error {
	if what == "the commit before" {
		what = t.repo.words[len(t.repo.words)-1].sha[:7]
	}
	return t.change("Go on\n\nThat is meant.\n\n"+desired.ConfirmTrailer+": "+what, t.notes)
}

// advance lets time pass in which the controller runs: where it was killed meanwhile, once more from its next start on.
func (t *Telling) advance(d time.Duration) error {
	starts := t.starts
	if err := t.Advance(d); err != nil {
		return err
	}
	if t.life == nil || t.starts == starts && !t.killed() {
		return nil
	}
	err := t.Await(defaultLimit, func() error {
		if t.killed() {
			return errors.New("the controller is dead")
		}
		return nil
	})
	return errors.Join(err, t.Advance(d))
}

// killed reports whether a controller is dead and not started again yet.
func (t *Telling) killed() bool {
	return slices.ContainsFunc(t.lives(), func(l *life) bool { return l.gate.closed() })
}

func (t *Telling) reach(gone bool) error {
	t.journal.add("git", "unreachable: %t", gone)
	return t.repo.away(gone)
}

// runs tells in one line what most stories begin with: a first version that was deployed and is good.
func (t *Telling) runs(service, tag string) error {
	if t.image(service, tag).digest == "" {
		if err := t.Push(service, tag); err != nil {
			return err
		}
	}
	if err := t.change(service+": image "+tag, func() error { return t.repo.set(service+".yaml", "spec.containers.app.image.tag", tag) }); err != nil {
		return err
	}
	if t.life == nil {
		if err := t.Start(); err != nil {
			return err
		}
	}
	if err := t.expectEnded(service, ending{kind: rollout.KindDeploy, result: rollout.ResultSucceeded}, defaultLimit); err != nil {
		return err
	}
	return t.expectPhase(service, "Healthy", defaultLimit)
}

// fault arms one fault for requests of the operation that begin from now on.
func (t *Telling) fault(operation, how, times string) error {
	f := wire.Fault{Operation: operation}
	switch how {
	case "is throttled":
		f.Before = wire.Throttled()
	case "fails":
		f.Before = unavailable()
	case "fails after its effect":
		f.After = unavailable()
	case "gets no answer":
		f.After = wire.ErrResponseLost
	case "is lost":
		f.Before = wire.ErrResponseLost
	case "hangs":
		f.Delay = time.Minute // longer than anybody waits
	case "is denied":
		f.Before = &wire.StatusError{Status: http.StatusBadRequest, Code: "AccessDeniedException", Message: "User is not authorized to perform: " + operation}
	}
	if times != "" {
		n, err := strconv.Atoi(times)
		if err != nil {
			return err
		}
		f.Times = n
	}
	t.faults.Add(f)
	t.journal.add("fault", "%s %s %s", operation, how, times)
	return nil
}

// unavailable is AWS's own trouble.
func unavailable() error {
	return &wire.StatusError{Status: http.StatusServiceUnavailable, Code: "ServerException", Message: "Service Unavailable"}
}

// secretive holds that the planted secret's value came to light nowhere: not in the log, nor in what is remembered or told.
func (t *Telling) secretive() error {
	var err error
	for _, l := range t.journal.entries() {
		if strings.Contains(l.text, planted) {
			err = errors.Join(err, fmt.Errorf("property 14 is broken: the log shows a secret at %s", t.journal.clock(l.at)))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	text, bad := json.Marshal([]any{t.records, t.endings})
	if err = errors.Join(err, bad); strings.Contains(string(text), planted) {
		err = errors.Join(err, errors.New("property 14 is broken: the ledger holds a secret"))
	}
	return err
}

// within reads a limit of a line.
func within(s string, otherwise time.Duration) (time.Duration, error) {
	if s == "" {
		return otherwise, nil
	}
	return time.ParseDuration(s)
}
