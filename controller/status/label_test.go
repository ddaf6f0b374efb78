package status_test

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/rollout"
)

// What an image's label says counts, whatever its tag is.
func TestLeadTimeGoesByTheLabel(t *testing.T) {
	const hour = 3600.0
	labelled := func(tag, digest, commit string) rollout.Entry {
		e := deploy(1, tag, rollout.ResultSucceeded, time.Hour)
		e.Digests, e.Built = []string{digest}, []string{commit}
		return e
	}
	tests := []struct {
		name    string
		running string // the label of what ran before, whose tag is v1.1.0
		ended   rollout.Entry
		want    float64
		times   int
	}{
		{"the tag is a version", "aaaaaaa", labelled("v1.2.0", "sha256:2", "bbbbbbb"), 3 * hour, 1},
		{"label and tag disagree", "aaaaaaa", labelled("ccccccc", "sha256:2", "bbbbbbb"), 3 * hour, 1},
		{"no label, and the tag is a commit", "aaaaaaa", labelled("ccccccc", "sha256:2", ""), 2 * hour, 1},
		{"no label, and the tag is a version", "aaaaaaa", labelled("v1.2.0", "sha256:2", ""), 0, 0},
		{"a label of a foreign commit is not overruled by the tag", "aaaaaaa", labelled("ccccccc", "sha256:2", "1234567"), 0, 0},
		{"a way back, by the labels", "ccccccc", labelled("v1.0.0", "sha256:2", "aaaaaaa"), hour + 60, 1},
		{"a tag that was moved is another image", "aaaaaaa", labelled("v1.1.0", "sha256:2", "bbbbbbb"), 3 * hour, 1},
		{"the same image under another tag is none", "bbbbbbb", labelled("v1.1.1", "sha256:1", "bbbbbbb"), hour + 60, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, reg := board(t)
			b.Commits(made)
			v := running("v1.1.0")
			v.Record.Good.Target.Containers = rollout.NamedOf(map[string]rollout.Container{"app": {Tag: "v1.1.0", Digest: "sha256:1"}})
			v.Built = map[string]string{"sha256:1": tt.running}
			b.Publish(v)
			b.Finished(tt.ended)
			if got, times := sum(t, reg, "deploy_change_lead_time_seconds"); got != tt.want || times != tt.times {
				t.Errorf("%v s in %d changes, want %v in %d", got, times, tt.want, tt.times)
			}
		})
	}
}
