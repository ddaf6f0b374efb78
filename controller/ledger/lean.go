package ledger

import (
	"reflect"
	"strings"
	"unique"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// lean makes what is equal in a record that was just read one and the same: an ask, a digest and a revision stand in it several times,
// and what was good is mostly what git asks. Of ten thousand records that is half of the memory. What it says does not change.
func lean(rec *rollout.Record) {
	w := words{}
	intent, good := rec.Intent, rec.Good
	if intent != nil {
		common(&intent.Commit)
	}
	if good != nil {
		common(&good.Target.Commit)
		if spec := good.Target.Spec; intent != nil && spec != nil && reflect.DeepEqual(*spec, intent.Service.Spec) {
			good.Target.Spec = &intent.Service.Spec
		}
		w.one(&good.Target.Ask)
		w.one(&good.Fingerprint)
		w.one(&good.Revision)
		for i := range good.Target.Containers {
			c := &good.Target.Containers[i].Value
			c.Tag = unique.Make(c.Tag).Value()
			if strings.HasSuffix(c.Image, c.Digest) {
				c.Digest = c.Image[len(c.Image)-len(c.Digest):]
			}
			w.one(&c.Digest)
		}
	}
	for i := range rec.GoodAsks {
		w.one(&rec.GoodAsks[i])
	}
	for i := range rec.Known {
		w.one(&rec.Known[i].Fingerprint)
		w.one(&rec.Known[i].Revision)
	}
	w.texts(rec.Pins)
	if rec.Tagged != nil {
		w.texts(rec.Tagged.Set)
	}
	for _, s := range []*string{&rec.Said, &rec.Why, &rec.Next, (*string)(&rec.State)} {
		*s = unique.Make(*s).Value()
	}
}

// shareIntent lets a record whose intent is what git says have that, and not a copy of it.
func shareIntent(rec *rollout.Record, says *desired.Service) {
	if rec.Intent == nil || says == nil || !reflect.DeepEqual(rec.Intent.Service, *says) {
		return
	}
	old := rec.Intent
	rec.Intent = &rollout.Intent{Commit: old.Commit, Service: *says}
	if good := rec.Good; good != nil && good.Target.Spec == &old.Service.Spec {
		good.Target.Spec = &rec.Intent.Service.Spec
	}
}

// common makes the words of a commit those of every other record that names it.
func common(c *desired.Commit) {
	for _, s := range []*string{&c.SHA, &c.Author, &c.Subject} {
		*s = unique.Make(*s).Value()
	}
}

// words are those of one record, each of which is kept once.
type words map[string]string

func (w words) one(s *string) {
	if known, ok := w[*s]; ok {
		*s = known
		return
	}
	w[*s] = *s
}

func (w words) texts(of rollout.Words) {
	for i := range of {
		w.one(&of[i].Value)
	}
}
