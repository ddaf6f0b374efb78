package rollout

import "regexp"

// secretName is what the name of a secret looks like.
const secretName = `[\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|cookie)[a-z_]*`

// secretShapes are what secrets look like in the lines of applications and in the errors of services. It is a net and
// no proof: that is why log lines are shown in evidence only.
var secretShapes = []struct {
	shape *regexp.Regexp
	with  string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "[redacted]"},
	{regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`), "[redacted]"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), "[redacted]"},
	{regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[a-z]-[A-Za-z0-9-]{8,})`), "[redacted]"},
	{regexp.MustCompile(`(hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/)[^\s"'<>]+`), "${1}[redacted]"},
	// Up to the last @ before a path: a password may have one that is not escaped.
	{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*:)[^\s@/]+@(?:[^\s/"']*@)?`), "${1}[redacted]@"},
	{regexp.MustCompile(`(?i)\b(authorization\\*"?\s*[:=]\s*\\*"?(?:bearer|basic)\s+)[^\s",;]+`), "${1}[redacted]"},
	// All of a cookie's line: which of its values is the secret one is not known.
	{regexp.MustCompile(`(?i)\b(cookie:\s*)[^\s"\\][^"\r\n\\]*`), "${1}[redacted]"},
	{regexp.MustCompile(`(?i)([?&;](?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig)=)[^\s"'&;<>]+`), "${1}[redacted]"},
	// What is in quotes is taken whole, with what is escaped in it, and where its end was cut off. There a sentence counts as well
	// (DB_PASSWORD is "x"): what it costs is a word such as "expired".
	{regexp.MustCompile(`(?is)(` + secretName + `\\*["']?(?:\s*[:=]|\s+(?:is|was)\s*:?)\s*)(?:(")(?:[^"\\]|\\.)+|(')(?:[^'\\]|\\.)+|(\\+["'])[^"'\\]+)`), "${1}${2}${3}${4}[redacted]"},
	// One name may follow the other (password= token: x), and quotes may be escaped, as they are in JSON within JSON.
	{regexp.MustCompile(`(?i)((?:` + secretName + `\\*["']?\s*[:=]\s*\\*["']?)+)[^\s"',;&}]*[^\s"',;&}\\]`), "${1}[redacted]"},
}

// Redact takes what looks like a secret out of a line, as well as can be.
func Redact(s string) string {
	for _, r := range secretShapes {
		s = r.shape.ReplaceAllString(s, r.with)
	}
	return s
}
