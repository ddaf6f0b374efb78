package main

import (
	"os"
	"path/filepath"
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
		{"another digest did, and is good now", server.Service{Status: condition.Status{Why: "Rolls."}, Good: &server.Good{Images: []string{"app:1a"}, Digests: []string{"sha256:2"}, At: at}},
			[]server.Entry{entry(rollout.KindDeploy, rollout.ResultSucceeded, "app:1a", "sha256:2")}, "sha256:1", release.Proof{Why: "it was never deployed there. Rolls."}},
		{"history was lost, and the digest is known", server.Service{Good: &server.Good{Images: []string{"app:1a"}, Digests: []string{"sha256:1"}, At: at}}, nil, "", release.Proof{Good: true, Since: at, Digest: "sha256:1"}},
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

func TestImages(t *testing.T) {
	folder := t.TempDir()
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for name, text := range map[string]string{
		"environment.yaml": "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: qa}\nspec: {account: \"012345678901\", region: eu-central-1}\n",
		"orders.yaml": "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: orders}\nspec:\n  stack: orders-qa\n  containers:\n" +
			"    web: {image: {tag: \"9e27b35\", digest: \"" + digest + "\"}}\n    app: {image: {tag: \"1a2b3c4\"}}\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := callProgram(t, nil, "images", folder)
	want := "qa 012345678901 eu-central-1\norders app 1a2b3c4 -\norders web 9e27b35 " + digest + "\n"
	if code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit code %d\n%s\nwant\n%s%s", code, stdout, want, stderr)
	}
	if code, _, stderr := callProgram(t, nil, "images", "/nowhere"); code != 2 || !strings.Contains(stderr, "/nowhere is no folder") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr := callProgram(t, nil, "images", t.TempDir()); code != 1 || !strings.Contains(stderr, "environment.yaml:1:1: ") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
