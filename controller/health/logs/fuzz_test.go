package logs_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/health/logs"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// FuzzLogs: patterns that a file may have never make the check panic, whatever is written; a line that matches a forbidden one
// fails the version as its own fault, and one that matches none never does. What is told of it is not the line.
func FuzzLogs(f *testing.F) {
	f.Add(`(?i)panic`, `listening`, "panic: boom")
	f.Add(`.`, `^$`, "\xff\x00")
	f.Add(`(a+)+$`, `\d{1000}`, strings.Repeat("a", 4000))
	f.Add(``, `[`, "")
	f.Add(`\x{10FFFF}`, `(?s).*`, "é\n")
	f.Fuzz(func(t *testing.T, forbid, require, line string) {
		raw, err := json.Marshal(logs.Params{Forbid: []string{forbid}, Require: []string{require}})
		if err != nil {
			t.Fatal(err)
		}
		if problems := (logs.Kind{}).Check(raw, nil); len(problems) > 0 {
			for _, p := range problems {
				if strings.TrimSpace(p.Message) == "" || len(p.Path) == 0 {
					t.Errorf("a problem that says nothing: %+v", p)
				}
			}
			return
		}
		check, err := logs.New(raw)
		if err != nil {
			t.Fatalf("parameters that were accepted are refused: %v", err)
		}
		// They went through JSON, as they do from git: an odd byte is another letter there.
		var read logs.Params
		if err := json.Unmarshal(raw, &read); err != nil {
			t.Fatal(err)
		}
		subject := rollout.Subject{Kind: rollout.KindDeploy, Stage: rollout.StageRoll, Deployment: "ecs-svc/1"}
		look := check.Facts(subject)
		if look.Logs == nil || len(look.Logs.Patterns) != 2 {
			t.Fatalf("looks for %+v", look)
		}
		seen := observed.Service{Logs: &observed.Logs{Seen: true, Matches: map[string][]observed.LogLine{}}}
		for _, pattern := range look.Logs.Patterns {
			if regexp.MustCompile(pattern).MatchString(line) {
				seen.Logs.Matches[pattern] = append(seen.Logs.Matches[pattern], observed.LogLine{Message: line})
			}
		}
		r, ok := check.Read(subject, seen)
		forbidden, required := len(seen.Logs.Matches[read.Forbid[0]]) > 0, len(seen.Logs.Matches[read.Require[0]]) > 0
		switch {
		case !ok || r.Check != logs.Name || r.Detail == "":
			t.Errorf("says %+v", r)
		case forbidden != (r.Verdict == observed.Fail) || forbidden && r.Class != observed.ClassProduct:
			t.Errorf("%q on %q: %+v", forbid, line, r)
		case !forbidden && required != (r.Verdict == observed.Pass):
			t.Errorf("%q on %q: %+v", require, line, r)
		case forbidden && len(line) > 20 && strings.Contains(r.Detail, line) && !strings.Contains(forbid, line):
			t.Errorf("the line is told outside of the evidence: %s", r.Detail)
		}
	})
}
