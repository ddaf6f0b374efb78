package server

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// tone is the class of a phase in the style sheet. It only supports the glyph and the word.
func tone(p condition.Phase) string {
	switch p {
	case condition.PhaseHealthy:
		return "good"
	case condition.PhaseInvalid, condition.PhaseStalled, condition.PhaseReverting, condition.PhaseReverted, condition.PhaseDegraded:
		return "bad"
	case condition.PhaseBlocked, condition.PhaseDrifted:
		return "odd"
	case condition.PhaseMigrating, condition.PhaseRollingOut, condition.PhaseVerifying:
		return "busy"
	default:
		return "calm"
	}
}

// Age is a span of time in its one or two largest units, such as 45s, 12m, 3h 5m or 2d 4h.
func Age(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60), " 0m")
	default:
		return strings.TrimSuffix(fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24), " 0h")
	}
}

// Until is how far away a time is, as people say it; empty for a time that never was.
func Until(now, at time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case at.Sub(now) < time.Second:
		return "now"
	default:
		return "in " + Age(at.Sub(now))
	}
}

// Tags are the image tags of a version, each once, without the containers' names.
func Tags(v condition.Version) string {
	var tags []string
	for _, image := range v.Images {
		_, tag, _ := strings.Cut(image, ":")
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return strings.Join(tags, ", ")
}

// tagsOf are the tags of images.
func tagsOf(images []string) string { return Tags(condition.Version{Images: images}) }

// versionWords names a version by its tags and commit.
func versionWords(v condition.Version) string {
	switch tags := Tags(v); {
	case tags == "" && v.Commit == "":
		return "unknown"
	case tags == "":
		return short(v.Commit)
	case v.Commit == "" || tags == short(v.Commit):
		return tags
	default:
		return tags + " (" + short(v.Commit) + ")"
	}
}

// runsWords is what runs now, which during a rollout is not what the last verdict put there.
func runsWords(v *status.View) string {
	good := versionWords(v.Status.Running)
	r := v.Record.Rollout
	switch {
	case r == nil && v.Record.Drift != nil:
		return tail(v.Record.Drift.TaskDefinition) + ", which git did not ask for"
	case r == nil || r.Deployment == nil:
		return good
	}
	new := versionWords(condition.Version{Commit: r.Target.Commit.SHA, Images: r.Target.Images()})
	switch {
	case r.Kind != rollout.KindDeploy:
		return new + " is being put back"
	case r.Stage == rollout.StageBake:
		return new + ", on trial"
	case r.Stage == rollout.StageEvidence:
		return new + ", which failed"
	case v.Record.Good == nil:
		return new + " is being started"
	default:
		return new + " is replacing " + good
	}
}

// nextWords is what happens next, as people say it: what the rollout in flight comes to, else who or what is waited for.
func nextWords(now time.Time, v *status.View) string {
	look := Until(now, v.Status.NextActionAt)
	with := func(words, look string) string {
		if v.Status.NextActionAt.IsZero() {
			return words
		}
		return strings.TrimPrefix(words+"; "+look, "; ")
	}
	if r := v.Record.Rollout; r != nil && v.Status.Phase != condition.PhaseSuspended {
		return rolloutNext(now, r)
	}
	switch v.Status.Phase {
	case condition.PhaseHealthy, condition.PhaseDegraded:
		return with("", "compared again "+look)
	case condition.PhaseInvalid, condition.PhaseReverted:
		return with("waits for a commit", "compared again "+look)
	case condition.PhaseStalled:
		return with("waits for a person", "looks again "+look)
	case condition.PhaseReleased:
		return "nothing"
	default:
		return with("", "looks again "+look)
	}
}

func rolloutNext(now time.Time, r *rollout.Rollout) string {
	deadline := ""
	if !r.Deadline.IsZero() {
		deadline = "; deadline " + Until(now, r.Deadline)
	}
	switch {
	case r.Stage == rollout.StageEvidence:
		return "evidence is kept, then it is put back"
	case r.Stage == rollout.StageBake:
		return "verdict " + Until(now, r.BakeUntil)
	case r.Kind != rollout.KindDeploy:
		return "serves again once its tasks run" + deadline
	case r.Stage == rollout.StageRoll:
		return "is watched once its tasks run" + deadline
	default:
		return "is rolled out" + deadline
	}
}

// differs reports whether git asks for something else than what runs. A commit that changes no image is told only while
// there is something to do about it: it may have changed a deadline.
func differs(s condition.Status) bool {
	return !slices.Equal(s.Wanted.Images, s.Running.Images) || s.Phase != condition.PhaseHealthy && s.Wanted.Commit != s.Running.Commit
}

func age(now, at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	return Age(now.Sub(at))
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func took(from, to time.Time) string { return Age(to.Sub(from)) }

// short is a commit's first seven characters.
func short(sha string) string { return sha[:min(7, len(sha))] }

// tail is the last part of an ARN.
func tail(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func serviceOfFile(file string) string { return strings.TrimSuffix(path.Base(file), ".yaml") }
