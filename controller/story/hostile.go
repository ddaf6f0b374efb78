package story

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/canteen/deploy/controller/ledger/conformance"
)

// What is done to the controller's own things: the disk of its ledger, the repository's branch and history, files that nobody meant.

func hostileVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`the ledger's disk is full`:        func(t *Telling, _ []string) error { return t.fillDisk() },
		`the ledger's disk has room again`: func(t *Telling, _ []string) error { return t.emptyDisk() },
		`commit a file of (\d+) MB as (\S+)`: func(t *Telling, a []string) error {
			return t.change(a[1], func() error { return t.repo.large(a[1], a[0]) })
		},
		`commit (?:(\w+) )?also a pattern of (\d+) KB`: func(t *Telling, a []string) error { return t.forbidLong(or(a[0]), a[1]) },
		`git's history is rewritten`: func(t *Telling, _ []string) error {
			t.journal.add("git", "history is rewritten")
			return t.repo.rewrite()
		},
		`git's branch is renamed`: func(t *Telling, _ []string) error {
			t.journal.add("git", "the branch is renamed")
			return t.repo.rename(true)
		},
		`git's branch has its name again`: func(t *Telling, _ []string) error {
			t.journal.add("git", "the branch has its name again")
			return t.repo.rename(false)
		},
		`expect the controller not to be ready: (.+)`: func(t *Telling, a []string) error { return t.readiness(http.StatusServiceUnavailable, a[0]) },
		`expect the controller to be ready`:           func(t *Telling, _ []string) error { return t.readiness(http.StatusOK, "") },
		`expect metric (\w+) (\S+)`:                   func(t *Telling, a []string) error { return t.metric(a[0], a[1]) },
		`expect (\S+) to be invalid: (.+)`:            func(t *Telling, a []string) error { return t.invalid(a[0], a[1]) },
	})
}

// smallDisk mounts a disk for the ledger, where the story wants one. The error is fs.ErrPermission where this process may mount none.
func (w *World) smallDisk() error {
	if !w.opts.SmallDisk {
		return nil
	}
	w.disk = filepath.Join(w.dir, "disk")
	if err := os.Mkdir(w.disk, 0o700); err != nil {
		return err
	}
	end, err := conformance.Mount(w.disk, "4096")
	if err != nil {
		return err
	}
	w.closers = append(w.closers, end)
	return nil
}

func (w *World) fillDisk() (err error) {
	w.journal.add("disk", "the ledger's disk is full")
	w.filling, err = conformance.FillDisk(w.disk)
	return err
}

func (w *World) emptyDisk() error {
	w.journal.add("disk", "the ledger's disk has room again")
	return os.Remove(w.filling)
}

// forbidLong makes the record larger, so that saving it takes new room.
func (t *Telling) forbidLong(service, kilobytes string) error {
	n, err := strconv.Atoi(kilobytes)
	if err != nil {
		return err
	}
	return t.change(service+": a long pattern", func() error {
		return t.repo.edit(service+".yaml", func(data []byte) ([]byte, error) {
			return bytes.Replace(data, []byte(`"(?i)panic"`), []byte(`"(?i)panic", "never `+strings.Repeat("x", n*1000)+`"`), 1), nil
		})
	})
}

// large writes a file of so many MB that no compression makes small.
func (r *repository) large(file, megabytes string) error {
	n, err := strconv.Atoi(megabytes)
	if err != nil {
		return err
	}
	data := make([]byte, n*1_000_000)
	for i, x := 0, uint64(1); i < len(data); i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	return os.WriteFile(r.path(file), data, 0o600)
}

const branchName = plumbing.ReferenceName("refs/heads/main")

// rewrite replaces the newest commit by one of the same files without any ancestor, and deletes all that was before.
func (r *repository) rewrite() error {
	commit, err := r.newestCommit()
	if err != nil {
		return err
	}
	who := object.Signature{Name: "Somebody", Email: "somebody@canteen.example", When: time.Now().UTC()}
	hash, err := r.store(&object.Commit{Author: who, Committer: who, Message: "everything anew", TreeHash: commit.TreeHash})
	if err != nil {
		return err
	}
	if err := r.git.Storer.SetReference(plumbing.NewHashReference(branchName, hash)); err != nil {
		return err
	}
	return r.git.Prune(git.PruneOptions{Handler: r.git.DeleteObject})
}

// rename gives the branch another name, so that the controller cannot read it, or its own again.
func (r *repository) rename(away bool) error {
	from, to := branchName, plumbing.ReferenceName("refs/heads/trunk")
	if !away {
		from, to = to, from
	}
	ref, err := r.git.Reference(from, true)
	if err != nil {
		return err
	}
	if err := errors.Join(r.git.Storer.SetReference(plumbing.NewHashReference(to, ref.Hash())), r.git.Storer.RemoveReference(from)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if away {
		r.gone = time.Now()
		return nil
	}
	r.blind = append(r.blind, span{r.gone, time.Now()})
	r.gone = time.Time{}
	return nil
}

// readiness waits until /readyz answers so.
func (t *Telling) readiness(code int, says string) error {
	re, err := regexp.Compile(says)
	if err != nil {
		return err
	}
	return t.Await(defaultLimit, func() error {
		if t.life == nil {
			return errors.New("the controller does not run")
		}
		got := httptest.NewRecorder()
		t.life.app.Handler().ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if got.Code != code || !re.MatchString(got.Body.String()) {
			return fmt.Errorf("/readyz answers %d: %s", got.Code, got.Body)
		}
		return nil
	})
}

// metric waits until the sum of a metric's series is so much, or with a + at its end at least so much.
func (t *Telling) metric(name, want string) error {
	least, more := strings.CutSuffix(want, "+")
	limit, err := strconv.ParseFloat(least, 64)
	if err != nil {
		return err
	}
	services := prometheus.NewRegistry()
	services.MustRegister(t.life.app.Board())
	return t.Await(defaultLimit, func() error {
		families, err := prometheus.Gatherers{t.life.registry, services}.Gather()
		if err != nil {
			return err
		}
		sum, found := 0.0, false
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name {
					sum, found = sum+m.GetGauge().GetValue()+m.GetCounter().GetValue(), true
				}
			}
		}
		if !found || sum != limit && (!more || sum < limit) {
			return fmt.Errorf("%s is %v (%t), want %s", name, sum, found, want)
		}
		return nil
	})
}

// invalid waits until a file is told to be wrong in such words.
func (t *Telling) invalid(file, says string) error {
	re, err := regexp.Compile(says)
	if err != nil {
		return err
	}
	return t.Await(defaultLimit, func() error {
		for _, e := range t.life.app.Board().Snapshot().Repo.Invalid[file] {
			if re.MatchString(e.Error()) {
				return nil
			}
		}
		return fmt.Errorf("of %s is told: %v", file, t.life.app.Board().Snapshot().Repo.Invalid[file])
	})
}
