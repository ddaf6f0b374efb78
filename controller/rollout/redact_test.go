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
	for _, line := range []string{"listening on 8080", "order 4711 accepted", "panic: runtime error: index out of range"} {
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
