package rollout

import "testing"

func TestRedact(t *testing.T) {
	for _, line := range []string{
		"password=hunter2", `{"db_password":"hunter2"}`, "DB_PASSWORD: hunter2", "postgres://user:hunter2@db:5432/orders", "Authorization: Bearer hunter2",
		"token = hunter2;", "password= token: hunter2", `{"msg":"{\"db_password\":\"hunter2\"}"}`, "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
	} {
		if got := Redact(line); contains([]string{line}, got) || len(got) == 0 || containsWord(got, "hunter2") {
			t.Errorf("%q became %q", line, got)
		}
	}
	for line, want := range map[string]string{
		"slack says xoxb-1234567890-abcdefghij":                      "slack says [redacted]",
		"POST https://hooks.slack.com/services/T000/B000/XXXX: 404":  "POST https://hooks.slack.com/services/[redacted] 404",
		"Set-Cookie: session=abc; Path=/; HttpOnly":                  "Set-Cookie: [redacted]",
		"cookie: a=b; c=d\nnext":                                     "cookie: [redacted]\nnext",
		`{"Cookie":"a=b; c=d","path":"/"}`:                           `{"Cookie":"[redacted]","path":"/"}`,
		"GET /o?X-Amz-Signature=0a1b&X-Amz-Expires=60 403":           "GET /o?X-Amz-Signature=[redacted]&X-Amz-Expires=60 403",
		"GET /o?x=1&X-Amz-Security-Token=0a1b%2F":                    "GET /o?x=1&X-Amz-Security-Token=[redacted]",
		"https://x.blob.core.windows.net/c?se=2026&sig=a%2Bb%3D end": "https://x.blob.core.windows.net/c?se=2026&sig=[redacted] end",
		"postgres://user:p@ss@host:5432/orders":                      "postgres://user:[redacted]@host:5432/orders",
		"passwd = 'a b c' is wrong":                                  "passwd = '[redacted]' is wrong",
		`password="it\"s a secret, it is" user=x`:                    `password="[redacted]" user=x`,
		`password="cut off in the mid`:                               `password="[redacted]`,
		`{"msg":"{\"password\":\"a b\"}"}`:                           `{"msg":"{\"password\":\"[redacted]\"}"}`,
		`{"password":"","user":"ada"}`:                               `{"password":"","user":"ada"}`,
		`{"a":"redis://u:p@h","mail":"x@y"}`:                         `{"a":"redis://u:[redacted]@h","mail":"x@y"}`,
		"level=warn cookie=abc msg=hello":                            "level=warn cookie=[redacted] msg=hello",
		"amqp://a:b@mq/ and mail to ada@canteen.example":             "amqp://a:[redacted]@mq/ and mail to ada@canteen.example",
		"authorization=\"Bearer a.b\"":                               "authorization=\"Bearer [redacted]\"",
		`DB_PASSWORD is "hunter2"`:                                   `DB_PASSWORD is "[redacted]"`,
		"the Api-Key was 'a b' before":                               "the Api-Key was '[redacted]' before",
		`{"msg":"\"DB_PASSWORD\" is \"a b\""}`:                       `{"msg":"\"DB_PASSWORD\" is \"[redacted]\""}`,
		`token is: "abc" and kept`:                                   `token is: "[redacted]" and kept`,
	} {
		if got := Redact(line); got != want {
			t.Errorf("%q became %q, want %q", line, got, want)
		}
		if twice := Redact(want); twice != want {
			t.Errorf("%q became %q the second time", want, twice)
		}
	}
	for _, line := range []string{"cookies are on", "design=3", "GET /o?signal=1", "https://host:8080/ada@home", "listening on 8080", "order 4711 accepted", "panic: runtime error: index out of range",
		"the password is wrong", "token is expired", `the token is not "bearer"`, `the password of "ada" is wrong`, `this is "fine"`, "password is 15 characters long"} {
		if got := Redact(line); got != line {
			t.Errorf("%q became %q", line, got)
		}
	}
}

func containsWord(s, word string) bool {
	for i := range len(s) - len(word) + 1 {
		if s[i:i+len(word)] == word {
			return true
		}
	}
	return false
}
