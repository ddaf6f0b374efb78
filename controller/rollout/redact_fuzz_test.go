package rollout

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/canteen/deploy/controller/observed"
)

// secretLines are the ways in which programs write secrets, by where the secret stands in them.
var secretLines = []func(secret string) string{
	func(s string) string { return "password=" + s },
	func(s string) string { return `{"db_password":"` + s + `"}` },
	func(s string) string { return "DB_PASSWORD: " + s },
	func(s string) string { return "postgres://user:" + s + "@db:5432/orders" },
	func(s string) string { return "amqps://" + s + ":" + s + "@mq/" },
	func(s string) string { return "Authorization: Bearer " + s },
	func(s string) string { return `"authorization": "Basic ` + s + `"` },
	func(s string) string { return `{"msg":"{\"password\":\"` + s + `\"}"}` },
	func(s string) string { return "api_key=" + s + "&x=1" },
	func(s string) string { return "Secret = '" + s + "'" },
	func(s string) string { return "token: " + s },
	func(s string) string { return `DB_PASSWORD is "` + s + `"` },
	func(s string) string {
		return "-----BEGIN RSA PRIVATE KEY-----\n" + s + "\n-----END RSA PRIVATE KEY-----"
	},
	func(s string) string { return "-----BEGIN PRIVATE KEY-----\n" + s },
}

// ordinary are secrets as generators make them: letters, digits and what base64 needs.
var ordinary = regexp.MustCompile(`^[A-Za-z0-9+/_.=-]{8,80}$`)

// FuzzRedact: whatever stands before and after it, a secret that is written in one of the usual ways is in nothing that comes out;
// what comes out is not much longer, and the second time it is the same.
func FuzzRedact(f *testing.F) {
	for _, surroundings := range []string{"", " ", "2026-03-01 INFO ", "\xff\x00", "password=", "x://", "é", "-----BEGIN X PRIVATE KEY-----"} {
		f.Add(surroundings, "hunter2hunter2", surroundings)
	}
	f.Add("url ", "pa=ss/word+1", " next")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		if once := Redact(before + after); len(once) > 20*len(before+after)+100 {
			t.Errorf("%q grew to %d bytes", before+after, len(once))
		}
		if quick, whole := Redact(before+after), redactAll(before+after); quick != whole {
			t.Errorf("%q became %q, and %q by every shape", before+after, quick, whole)
		}
		if c := clip(before + after); len(c) > evidenceLineMax+len("…") || utf8.ValidString(before+after) && !utf8.ValidString(c) {
			t.Errorf("%q was clipped to %q", before+after, c)
		}
		if !ordinary.MatchString(secret) || strings.Contains(before+"\n"+after, secret) || strings.Contains("[redacted]", secret) {
			return
		}
		for i, write := range secretLines {
			line := write(secret)
			if strings.ContainsAny(secret, "/@") && strings.Contains(line, "://") || strings.Count(line, secret) > 1 && strings.Contains(secret, ":") {
				continue // that is no URL
			}
			if strings.Contains(strings.ReplaceAll(line, secret, ""), secret) {
				continue
			}
			if got := Redact(before + " " + line + "\n" + after); shows(got, secret) {
				t.Errorf("way %d: %q became %q", i, before+" "+line+"\n"+after, got)
			}
		}
		// The same in a task's end, where whole tasks are judged by such texts.
		task := observed.Task{StopCode: stopFailedToStart, StoppedReason: before + " password=" + secret + "\n" + after, Containers: []observed.Container{{Name: "app", Reason: "token: " + secret}}}
		if stop := Stopped(task); strings.Contains(stop.Message, secret) || stop.Class == "" {
			t.Errorf("a task's end is told as %+v", stop)
		}
		for _, told := range append(taskEvidence(task).Containers, taskEvidence(task).Reason) {
			if strings.Contains(told, secret) {
				t.Errorf("evidence tells %q", told)
			}
		}
	})
}

// shows reports whether the secret can be read off the text. A user's name in a URL is no secret.
func shows(text, secret string) bool {
	return strings.Contains(strings.ReplaceAll(text, "amqps://"+secret+":", ""), secret)
}
