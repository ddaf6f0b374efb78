package main

import (
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/release"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
)

func TestProof(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	entry := func(kind rollout.Kind, result rollout.Result, image, digest string) server.Entry {
		return server.Entry{Entry: rollout.Entry{Kind: kind, Result: result, Message: "so it ended", Images: []string{"side:1", image}, Digests: []string{"sha256:0", digest}, EndedAt: at}}
	}
	good := &server.Good{Images: []string{"app:1a"}, At: at}
	tests := []struct {
		name    string
		service server.Service
		entries []server.Entry
		digest  string
		want    release.Proof
	}{
		{"it succeeded", server.Service{}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultSucceeded, "app:1a", "sha256:1")}, "", release.Proof{Good: true, Since: at, Digest: "sha256:1"}},
		{"of that digest", server.Service{}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultSucceeded, "app:1a", "sha256:1")}, "sha256:1", release.Proof{Good: true, Since: at, Digest: "sha256:1"}},
		{"another digest did", server.Service{Status: condition.Status{Why: "Rolls."}}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultSucceeded, "app:1a", "sha256:2")}, "sha256:1",
			release.Proof{Why: "it was never deployed there. Rolls."}},
		{"another image did", server.Service{Status: condition.Status{Why: "Rolls."}}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultSucceeded, "app:2b", "sha256:1")}, "",
			release.Proof{Why: "it was never deployed there. Rolls."}},
		{"it was rejected", server.Service{}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultRejected, "app:1a", "sha256:1")}, "", release.Proof{Why: "rejected: so it ended", Since: at, Digest: "sha256:1"}},
		{"it was rejected after it had been good", server.Service{Good: good}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultRejected, "app:1a", "sha256:1"), entry(rollout.KindDeploy, rollout.ResultSucceeded, "app:1a", "sha256:1")}, "",
			release.Proof{Why: "rejected: so it ended", Since: at, Digest: "sha256:1"}},
		{"it was overtaken after it had been good", server.Service{}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultSuperseded, "app:1a", "sha256:1"), entry(rollout.KindDeploy, rollout.ResultSucceeded, "app:1a", "sha256:1")}, "",
			release.Proof{Good: true, Since: at, Digest: "sha256:1"}},
		{"it was only overtaken", server.Service{}, []server.Entry{entry(rollout.KindDeploy, rollout.ResultSuperseded, "app:1a", "sha256:1")}, "", release.Proof{Why: "superseded: so it ended", Since: at, Digest: "sha256:1"}},
		{"a revert to it says nothing new", server.Service{Status: condition.Status{Why: "Rolls."}}, []server.Entry{entry(rollout.KindRevert, rollout.ResultReverted, "app:1a", "sha256:1")}, "", release.Proof{Why: "it was never deployed there. Rolls."}},
		{"history was lost", server.Service{Good: good}, nil, "", release.Proof{Good: true, Since: at}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := proof(tt.service, tt.entries, "app:1a", tt.digest); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestWrongReleases(t *testing.T) {
	set := func(more ...string) []string {
		return append([]string{"set-image", "--env", "dev", "--service", "orders", "--tag", "1a2b3c4"}, more...)
	}
	tests := []struct {
		name, want string
		args       []string
		code       int
	}{
		{"no environment", "--env must name a folder", set("--env", ""), 2},
		{"an environment outside", "--env must name a folder", set("--env", "../prod"), 2},
		{"no service", "--service must name a file", set("--service", ""), 2},
		{"a tag that moves", `--tag is "latest"; it must be the short git SHA`, set("--tag", "latest"), 2},
		{"half a digest", "--digest is", set("--digest", "sha256:11"), 2},
		{"no repository", "not a git repository", set(), 1},
		{"to itself", "two folders of desired/", []string{"promote", "--from", "dev", "--to", "dev"}, 2},
		{"nobody to ask", "--server must name the controller of dev", []string{"promote", "--from", "dev", "--to", "qa"}, 2},
		{"no branch for the pull request", "--pull-request needs --push", []string{"promote", "--from", "dev", "--to", "qa", "--force", "x", "--pull-request"}, 2},
		{"no token", "needs GITHUB_TOKEN", []string{"promote", "--from", "dev", "--to", "qa", "--force", "x", "--push", "--pull-request"}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := callProgram(t, nil, tt.args...)
			if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, want %d; %q, want %q; it prints %q", code, tt.code, stderr, tt.want, stdout)
			}
		})
	}
}
