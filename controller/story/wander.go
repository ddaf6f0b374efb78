package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/canteen/deploy/controller/sim"
)

// perhaps does a deed that may have become impossible, as when there is no migration to stop.
func (t *Telling) perhaps(do func(*Telling) error) error {
	if err := do(t); err != nil && t.Observer.Err() == nil {
		t.journal.add("story", impossible+": %v", err)
	}
	return t.Observer.Err()
}

// impossible begins the journal's line about a deed that had become impossible.
const impossible = "that was not to be"

// garbage is what a slip of the hand leaves at a file's end.
const garbage = "\nspec: [\n"

// wanderVerbs are the deeds of stories that were drawn by lot.
func wanderVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`commit (\w+)\.yaml broken`: func(t *Telling, a []string) error {
			return t.change(a[0]+": a slip of the hand", func() error {
				return t.repo.edit(a[0]+".yaml", func(b []byte) ([]byte, error) { return append(b, garbage...), nil })
			})
		},
		`commit (\w+)\.yaml mended`: func(t *Telling, a []string) error {
			return t.change(a[0]+": mend the file", func() error {
				return t.repo.edit(a[0]+".yaml", func(b []byte) ([]byte, error) { return bytes.ReplaceAll(b, []byte(garbage), nil), nil })
			})
		},
		`take (\w+)\.yaml out of git`: func(t *Telling, a []string) error {
			return t.change("remove "+a[0], func() error { return os.Rename(t.repo.path(a[0]+".yaml"), t.dir+"/"+a[0]+".yaml") })
		},
		`bring (\w+)\.yaml back`: func(t *Telling, a []string) error {
			return t.change("bring back "+a[0], func() error { return os.Rename(t.dir+"/"+a[0]+".yaml", t.repo.path(a[0]+".yaml")) })
		},
		`what if (\S+)(?: of (image )?(\S+))?(?: at (\w+))? for (\S+)`: func(t *Telling, a []string) error {
			d, err := time.ParseDuration(a[4])
			return errors.Join(err, t.whatIf(sim.NamedFault{Name: a[0], Target: a[2], Operation: a[3]}, a[1] != "", d))
		},
		`the controller's clock jumps by (\S+)`: func(t *Telling, a []string) error {
			d, err := time.ParseDuration(a[0])
			return errors.Join(err, t.jump(d))
		},
		`the controller's clock is right again`: func(t *Telling, _ []string) error { return t.jump(-time.Duration(t.skew.Load())) },
		`force-push (\w+) image (\w+)`:          func(t *Telling, a []string) error { return t.forcePush(a[0], a[1]) },
		`force-push the commit before`:          func(t *Telling, _ []string) error { return t.forcePushBack() },
		`the controller dies (before|after) its (\d+)\. (request|save) from now`: func(t *Telling, a []string) error {
			n, err := strconv.Atoi(a[1])
			t.meter.killIn(Kill{Save: a[2] == "save", Number: n, After: a[0] == "after"})
			return err
		},
		`all is well again`:           func(t *Telling, _ []string) error { return t.mend() },
		`expect all at rest in (\S+)`: func(t *Telling, a []string) error { return t.all(a[0], t.atRest) },
		`expect all healthy in (\S+)`: func(t *Telling, a []string) error { return t.all(a[0], t.healthy) },
		`commit everybody with (\S+) (\S+)`: func(t *Telling, a []string) error {
			return t.change("everybody: "+a[0], func() error {
				for _, s := range t.opts.Services {
					if err := t.repo.set(s+".yaml", a[0], a[1]); err != nil {
						return err
					}
				}
				return nil
			})
		},
		`everybody gets a good version`: func(t *Telling, _ []string) error { return t.bless() },
	})
}

// clock is the time as the controller's machine shows it. Such a time knows nothing of how long something took.
func (w *World) clock() time.Time { return time.Now().Add(time.Duration(w.skew.Load())).Round(0) }

// precision is how well the controller can know how long something took: by the whole seconds of AWS's answers, where its machine's
// clock was wrong.
func (w *World) precision() time.Duration {
	if w.jumped.Load() {
		return time.Second
	}
	return 0
}

// jump sets the controller's clock forwards or backwards, as an operator or a time server does.
func (t *Telling) jump(d time.Duration) error {
	t.skew.Add(int64(d))
	t.jumped.Store(t.jumped.Load() || d != 0)
	t.journal.add("clock", "the controller's clock jumps by %s, and is %s ahead", d, time.Duration(t.skew.Load()))
	return nil
}

// passing is a fault of the account's catalogue that ends by itself.
type passing struct {
	id       int
	at       time.Time
	secretOf string // the service whose secret has another value as long as it lasts
}

// whatIf arms a fault of the account's catalogue for a while. An image is named by its digest, as revisions do.
func (t *Telling) whatIf(f sim.NamedFault, image bool, lasts time.Duration) error {
	t.journal.add("fault", "%s %s %s for %s", f.Name, f.Target, f.Operation, lasts)
	if service, tag, _ := strings.Cut(f.Target, ":"); image {
		if f.Target = t.image(service, tag).digest; f.Target == "" {
			return fmt.Errorf("there is no image %s of %s", tag, service)
		}
	}
	id, err := t.account.AddFault(context.Background(), f)
	if err != nil {
		return err
	}
	p := passing{id: id, at: time.Now().Add(lasts)}
	if strings.HasPrefix(f.Name, "secret-") {
		p.secretOf, _, _ = strings.Cut(f.Target, "/")
		t.Observer.changed(p.secretOf)
	}
	t.passing = append(t.passing, p)
	return nil
}

// pass ends the faults whose time is over.
func (w *World) pass() {
	w.passing = slices.DeleteFunc(w.passing, func(p passing) bool {
		if time.Now().Before(p.at) {
			return false
		}
		// What was taken away cannot always come back, as when somebody made it anew meanwhile.
		w.journal.add("fault", "one ends: %v", w.account.RemoveFault(p.id))
		w.Observer.changed(p.secretOf)
		return true
	})
}

// forcePush replaces the newest commit by one that names another image.
func (t *Telling) forcePush(service, tag string) error {
	return t.changeBy(service+": image "+tag+", force-pushed", t.repo.amend, func() error {
		return t.repo.set(service+".yaml", "spec.containers.app.image.tag", tag)
	})
}

// forcePushBack takes the newest commit back, with all that it said.
func (t *Telling) forcePushBack() error {
	return t.changeBy("the commit before, force-pushed", t.repo.backByOne, func() error { return nil })
}

// amend replaces the newest commit.
func (r *repository) amend(subject string) (string, error) {
	newest, err := r.newestCommit()
	if err != nil {
		return "", err
	}
	return r.commitOn(newest.ParentHashes, subject)
}

// backByOne lets the branch end one commit earlier.
func (r *repository) backByOne(string) (string, error) {
	newest, err := r.newestCommit()
	if err != nil {
		return "", err
	}
	before, err := newest.Parent(0)
	if err != nil {
		return "", fmt.Errorf("find the commit before: %w", err)
	}
	if err := r.checkOut(before); err != nil {
		return "", fmt.Errorf("reset: %w", err)
	}
	if err := r.git.Storer.SetReference(plumbing.NewHashReference(branchName, before.Hash)); err != nil {
		return "", fmt.Errorf("move the branch: %w", err)
	}
	return r.say(before.Hash), nil
}

func (r *repository) newestCommit() (*object.Commit, error) {
	ref, err := r.git.Reference(branchName, true)
	if err != nil {
		return nil, fmt.Errorf("find the branch: %w", err)
	}
	return r.git.CommitObject(ref.Hash())
}

// checkOut makes the files those of a commit.
func (r *repository) checkOut(c *object.Commit) error {
	files, err := c.Files()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(r.dir)
	for _, e := range entries {
		if e.Name() != git.GitDirName {
			err = errors.Join(err, os.RemoveAll(filepath.Join(r.dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	return files.ForEach(func(f *object.File) error {
		at := filepath.Join(r.dir, filepath.FromSlash(f.Name))
		text, err := f.Contents()
		return errors.Join(err, os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o600))
	})
}
