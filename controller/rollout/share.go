package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"

	"github.com/canteen/deploy/controller/observed"
)

// Shared is a record and the observation that belongs to it as they may be shown to whoever may read the API: without the
// content of the template, in which the infrastructure may have written what is nobody's business, without tags and outputs
// that are not the controller's, and without log lines. Decide comes to the same on them as on the originals.
//
// The template's content is replaced by its hash. What was hashed together with it, the fingerprints of the asks that the
// record or the revisions' tags know, is translated, so that what was equal stays equal. One that came to no verdict, and that the record
// does not name any more, is not among them: where git returns to it, it seems to be not registered yet.
func Shared(rec Record, seen observed.Service) (Record, observed.Service) {
	return shared(rec, seen, rec)
}

// shared translates what is known by any of the records.
func shared(rec Record, seen observed.Service, by ...Record) (Record, observed.Service) {
	rec = rec.clone()
	if ro := rec.Rollout; ro != nil && ro.Failure != nil {
		failure := *ro.Failure
		failure.Log = nil
		ro.Failure = &failure
	}
	if ro := rec.Rollout; ro != nil && ro.Migration != nil {
		ro.Migration.Log = nil
	}
	seen.Events, seen.Logs, seen.MigrationLog = nil, nil, nil
	seen.Tags = only(seen.Tags, func(k string) bool { return strings.HasPrefix(k, "deploy:") })
	seen.Stack.Outputs = only(seen.Stack.Outputs, func(k string) bool { return k == "RepoUri" || k == "ClusterName" || k == "ServiceName" })
	if seen.Template == nil {
		return rec, seen
	}
	sum := sha256.Sum256([]byte(seen.Template.Content))
	hashed := *seen.Template
	hashed.Content = "sha256:" + hex.EncodeToString(sum[:])
	prints := map[string]string{}
	for _, known := range by {
		for _, ask := range asksOf(known, seen) {
			for _, secrets := range versionsOf(known, seen) {
				prints[fingerprint(ask, *seen.Template, secrets)] = fingerprint(ask, hashed, secrets)
			}
		}
	}
	seen.Template = &hashed
	return translate(rec, seen, prints)
}

// versionsOf are the versions of secrets that may be part of a fingerprint: none, those of what is good or in flight, and those
// that the secrets of either, or of what git asks, have now.
func versionsOf(rec Record, seen observed.Service) []map[string]string {
	out := []map[string]string{nil}
	now := func(references []string) {
		out = append(out, only(seen.Secrets, func(reference string) bool { return contains(references, reference) }))
	}
	if rec.Good != nil {
		out = append(out, rec.Good.Secrets)
		now(referencesOf(rec.Good.Target))
	}
	if rec.Rollout != nil {
		out = append(out, rec.Rollout.Secrets)
		now(referencesOf(rec.Rollout.Target))
	}
	if rec.Intent != nil {
		asked := map[string]Container{}
		for name, c := range rec.Intent.Service.Spec.Containers {
			asked[name] = Container{Secrets: c.Secrets}
		}
		now(referencesOf(Target{Containers: NamedOf(asked)}))
	}
	return out
}

func asksOf(rec Record, seen observed.Service) []string {
	asks := append([]string(nil), rec.GoodAsks...)
	for _, r := range rec.Rejected {
		asks = append(asks, r.Ask)
	}
	for _, r := range seen.Revisions {
		asks = append(asks, r.Ask)
	}
	if rec.Intent != nil { // what it asks may have been registered, and come to no verdict
		t, _ := resolve(*rec.Intent, seen.Stack.Outputs["RepoUri"], rec.Pins)
		asks = append(asks, t.Ask)
	}
	if rec.Good != nil {
		asks = append(asks, rec.Good.Target.Ask)
	}
	if rec.Rollout != nil {
		asks = append(asks, rec.Rollout.Target.Ask)
	}
	for s := rec.Stalled; s != nil; s = s.Cause {
		asks = append(asks, s.Ask, s.Wanted)
	}
	if rec.Blocked != nil {
		asks = append(asks, rec.Blocked.Ask)
	}
	return append(asks, rec.Behind...)
}

// translate replaces every fingerprint. rec is a clone.
func translate(rec Record, seen observed.Service, prints map[string]string) (Record, observed.Service) {
	swap := func(print *string) {
		if other, ok := prints[*print]; ok {
			*print = other
		}
	}
	if rec.Good != nil {
		good := *rec.Good
		swap(&good.Fingerprint)
		rec.Good = &good
	}
	if rec.Rollout != nil {
		swap(&rec.Rollout.Fingerprint)
	}
	for s := &rec.Stalled; *s != nil; s = &(*s).Cause {
		*s = copied(*s)
		swap(&(*s).Fingerprint)
	}
	for i := range rec.Failed {
		swap(&rec.Failed[i].Fingerprint)
	}
	for i := range rec.Known {
		swap(&rec.Known[i].Fingerprint)
	}
	revisions := map[string]observed.Revision{}
	for arn, r := range seen.Revisions {
		swap(&r.Fingerprint)
		revisions[arn] = r
	}
	seen.Revisions = revisions
	return rec, seen
}

func only(m map[string]string, keep func(string) bool) map[string]string {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(k, _ string) bool { return !keep(k) })
	return out
}
