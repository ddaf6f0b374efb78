package rollout

import "regexp"

// secretShapes are what secrets look like in the lines of applications and in the errors of services. It is a net and
// no proof: that is why log lines are shown in evidence only.
var secretShapes = []struct {
	shape *regexp.Regexp
	with  string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "[redacted]"},
	{regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`), "[redacted]"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), "[redacted]"},
	{regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})`), "[redacted]"},
	{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*:)[^\s@/]+@`), "${1}[redacted]@"},
	{regexp.MustCompile(`(?i)\b(authorization"?\s*[:=]\s*"?(?:bearer|basic)\s+)[^\s",;]+`), "${1}[redacted]"},
	// One name may follow the other (password= token: x), and quotes may be escaped, as they are in JSON within JSON.
	{regexp.MustCompile(`(?i)((?:[\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[a-z_]*\\*["']?\s*[:=]\s*\\*["']?)+)[^\s"',;&}]+`), "${1}[redacted]"},
}

// Redact takes what looks like a secret out of a line, as well as can be.
func Redact(s string) string {
	for _, r := range secretShapes {
		s = r.shape.ReplaceAllString(s, r.with)
	}
	return s
}
