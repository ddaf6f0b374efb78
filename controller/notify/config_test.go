package notify

import (
	"strings"
	"testing"
)

func TestBadFilesAreToldWithTheirPlace(t *testing.T) {
	head := "apiVersion: deploy/v1\nkind: Notifications\n"
	for name, c := range map[string]struct{ file, want string }{
		"unknown field":   {head + "receivers:\n  a: {slackWebhook: {url: {env: A}}}\nroutes: [{receiver: a}]\npages: x\n", `n.yaml:6:1: unknown field "pages"`},
		"secret in place": {head + "receivers:\n  a: {slackWebhook: {url: \"https://hooks.example.com/T0/B0\"}}\nroutes: [{receiver: a}]\n", "n.yaml:4:27: receivers.a.slackWebhook.url must be a mapping"},
		"two references":  {head + "receivers:\n  a: {slackWebhook: {url: {env: A, file: /b}}}\nroutes: [{receiver: a}]\n", "n.yaml:4:27: a secret must be referred to by exactly one of file, env, secretsManager"},
		"no receiver":     {head + "receivers:\n  a: {slackWebhook: {url: {env: A}}}\nroutes:\n- receiver: b\n", "n.yaml:6:13: routes[0].receiver is none of receivers; write one of a"},
		"severity":        {head + "receivers:\n  a: {slackWebhook: {url: {env: A}}}\nroutes:\n- {receiver: a, severity: loud}\n", "n.yaml:6:27: routes[0].severity must be one of info, warning, critical"},
		"channel":         {head + "receivers:\n  a: {slack: {channel: \"#ops\", token: {env: A}}}\nroutes: [{receiver: a}]\n", "n.yaml:4:24: slack.channel must be a channel's id"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := Parse("n.yaml", []byte(c.file))
			if len(errs) == 0 || !strings.HasPrefix(errs[0].Error(), c.want) {
				t.Errorf("%v; want %s", errs, c.want)
			}
		})
	}
}

// Whatever a commit says stays text: on one line, in its direction, and without meaning to Slack.
func TestHostileTextsStayText(t *testing.T) {
	l := newLife("orders")
	l.begin("deploy", "v1")
	l.rec.Rollout.Target.Commit.Subject = "<!channel> <https://evil.example|ok> & \u202egnp.exe\r\n*bold* password=hunter2hunter2"
	plan := Plan(l.input(), Mark{})
	if len(plan) != 1 {
		t.Fatal(plan)
	}
	body := string(marshal(slackMessage(*plan[0].Message)))
	for _, bad := range []string{"<!channel>", "<https://evil", "\u202e", `\r`, "hunter2"} {
		if strings.Contains(body, bad) {
			t.Errorf("%q is in %s", bad, body)
		}
	}
	if !strings.Contains(body, "&lt;!channel&gt; &lt;https://evil.example|ok&gt; &amp; gnp.exe *bold*") {
		t.Error(body)
	}
}
