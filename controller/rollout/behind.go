package rollout

import (
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// A breaking migration leaves behind whatever was good before it: the database has moved past those versions. None of them is put
// back, or rolled because git returns to it, without a person's word. That must survive the loss of the ledger as the migration
// itself does, or the next controller would put the version before back on a database that it does not know.

// tagMax is how long the value of a tag may be (Tag in the ECS API reference). An ask is hexadecimal behind its version, and asks
// are joined by spaces, which a value may have.
const tagMax = 256

// breaks reports whether the target's migration is a breaking one.
func breaks(t Target) bool {
	return t.Migration != nil && t.Migration.Compatibility == desired.CompatibilityBreaking
}

// leaves are what a breaking migration of the ask leaves behind now, the last good version first.
func (r Record) leaves(ask string) []string {
	if good := r.Good; good != nil && good.Target.Ask != ask { // not among the good asks where git had it put back all the same
		return remember(r.GoodAsks, good.Target.Ask, goodAsksMax)
	}
	return slices.Clone(r.GoodAsks)
}

// retrySaidOf is the record after git's retry was said of the ask. Of one that was not left behind it is no word about those that were,
// also where it is said while that one rolls: git has to raise it once more for them.
func (r Record) retrySaidOf(ask string) Record {
	if !contains(r.Behind, ask) {
		r.BehindRetry = max(r.BehindRetry, r.retry())
	}
	return r
}

// leave is the record after a breaking migration that left the asks behind. retry is what git said of it; nothing that was said before
// is a word about what it left.
func (r Record) leave(asks []string, retry int) Record {
	for _, ask := range slices.Backward(asks) {
		r.Behind = remember(r.Behind, ask, goodAsksMax)
	}
	r.GoodAsks = without(r.GoodAsks, func(ask string) bool { return contains(asks, ask) })
	r.BehindRetry = max(r.BehindRetry, retry, r.retry())
	return r
}

// ahead is the record after an ask serves that may have been left behind. The retry that brought it back was said of it alone.
func (r Record) ahead(in Input, ask string) Record {
	r.Behind = without(r.Behind, func(one string) bool { return one == ask })
	if wanted(in, r) == ask {
		r = r.retrySaidOf(ask)
	}
	return r
}

// provenSince is the record after an ask was good: if a migration that is lost was done, it was so on what that has left.
func (r Record) provenSince(ask string) Record {
	if r.Lost != nil && contains(r.Lost.Behind, ask) {
		r.Lost = copied(r.Lost)
		r.Lost.Behind = without(r.Lost.Behind, func(one string) bool { return one == ask })
	}
	return r
}

// behindMark is what the tag TagBehind says: of the asks that were left behind the newest ones, as many as a tag holds, which is
// three. The first is the version that was good when the migration ran, and so the only one that a controller without a ledger
// would put back: it knows no other good one. The next are those that git most likely returns to.
func (r Record) behindMark() string {
	mark := ""
	for _, ask := range r.Behind {
		if mark != "" && !fits(mark, ask) || len(ask) > tagMax {
			break
		}
		mark = strings.TrimSpace(mark + " " + ask)
	}
	return mark
}

func fits(mark, ask string) bool { return len(mark)+len(" ")+len(ask) <= tagMax }

// behindBefore takes over what the tag says, where the tags are newer than the record. What they do not name is behind no more, but
// for what they have no room for. Names that are new to the record mean that a breaking migration ran since: it left behind what
// the record takes for good too, and no retry that git says already was said of it.
func (r Record) behindBefore(in Input, good observed.Revision) Record {
	mark, told := in.Seen.Tags[TagBehind]
	if !told || counted(in) <= r.Count {
		return r
	}
	asks, before := strings.Fields(mark), r.Behind
	if slices.ContainsFunc(asks, func(ask string) bool { return !contains(r.Behind, ask) }) {
		before = slices.Concat(r.GoodAsks, before)
		r.BehindRetry = max(r.BehindRetry, r.retry())
	}
	r.Behind = asks
	for _, ask := range before {
		if !fits(mark, ask) && !contains(r.Behind, ask) && ask != good.Ask {
			r.Behind = append(r.Behind, ask)
		}
	}
	r.Behind = r.Behind[:min(len(r.Behind), goodAsksMax)]
	r.GoodAsks = slices.DeleteFunc(slices.Clone(r.GoodAsks), func(ask string) bool { return contains(r.Behind, ask) })
	return r
}
