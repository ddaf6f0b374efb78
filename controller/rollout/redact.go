package rollout

import (
	"regexp"
	"strings"
)

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

// secretHints are in small letters; whatever a shape finds has one of them in it, or is a URL with a user. The last two are the letters
// beyond ASCII that regular expressions take for an s and a k where case does not count.
var secretHints = byFirst(
	"-----begin ", "akia", "asia", "eyj", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "hooks.slack",
	"authorization", "cookie", "signature=", "credential=", "sig=", "password", "passwd", "pwd", "secret", "token",
	"apikey", "api_key", "api-key", "accesskey", "access_key", "access-key", "privatekey", "private_key", "private-key", "\u017f", "\u212a",
)

// byFirst has the hints by the byte that they begin with, small or large.
func byFirst(hints ...string) (table [256][]string) {
	for _, h := range hints {
		table[h[0]] = append(table[h[0]], h)
		if large := strings.ToUpper(h[:1])[0]; 'A' <= large && large <= 'Z' {
			table[large] = append(table[large], h)
		}
	}
	return table
}

// hinted reports whether any shape may find something. Nearly always none does, and to ask each of them takes a hundred times as long.
func hinted(s string) bool {
	for i := range len(s) {
		for _, h := range secretHints[s[i]] {
			if beginsSmall(s[i:], h) {
				return true
			}
		}
	}
	return strings.IndexByte(s, '@') >= 0 && strings.Contains(s, "://")
}

// beginsSmall reports whether s, its ASCII letters made small, begins with the hint.
func beginsSmall(s, hint string) bool {
	if len(s) < len(hint) {
		return false
	}
	for i := range len(hint) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != hint[i] {
			return false
		}
	}
	return true
}

// Redact takes what looks like a secret out of a line, as well as can be.
func Redact(s string) string {
	if !hinted(s) {
		return s
	}
	return redactAll(s)
}

func redactAll(s string) string {
	for _, r := range secretShapes {
		s = r.shape.ReplaceAllString(s, r.with)
	}
	return s
}
