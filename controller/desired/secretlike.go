package desired

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secretName finds the words of a name that promise a secret; names are first put into SCREAMING_SNAKE_CASE.
var secretName = regexp.MustCompile(`PASSWORD|PASSWD|PASSPHRASE|(^|_)(PWD|SECRETS?|TOKENS?|CREDENTIALS?)(_|$)|(API|PRIVATE|ACCESS|SECRET|ENCRYPTION|SIGNING)_?KEY`)

// aboutSecret is a name that says something of a secret and does not hold it: a file, a lifetime, a place, a number.
var aboutSecret = regexp.MustCompile(`(_(FILE|PATH|DIR|ARN|NAME|URL|URI|ENDPOINT|HEADER|ISSUER|TYPE|TTL|EXPIRY|LIFETIME|SECONDS|MINUTES|LENGTH|COUNT|LIMIT|ENABLED))$|^(MAX|MIN|NUM)_`)

var camelHump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// secretValues are texts that are secrets whatever they are called.
var secretValues = []struct {
	what string
	is   *regexp.Regexp
}{
	{"an AWS access key", regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`)},
	{"a PEM block", regexp.MustCompile(`-----BEGIN [A-Z0-9 ]+-----`)},
	{"a URL with a password", regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s:@]*:[^/?#\s]+@`)},
	{"a connection string with a password", regexp.MustCompile(`(?i)(^|[\s;&?])(password|passwd|pwd)\s*=\s*[^\s;&]`)},
	{"an access token", regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|[sr]k_live_[A-Za-z0-9]{10,}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.)`)},
}

// secretLike says what kind of secret a value looks like, "" when it does not.
func secretLike(value string) string {
	for _, s := range secretValues {
		if s.is.MatchString(value) {
			return s.what
		}
	}
	return ""
}

// namesSecret reports whether a variable of this name would hold a secret.
func namesSecret(name string) bool {
	n := strings.ToUpper(camelHump.ReplaceAllString(name, "${1}_$2"))
	n = strings.NewReplacer("-", "_", ".", "_").Replace(n)
	return secretName.MatchString(n) && !aboutSecret.MatchString(n)
}

// printable is a name from a file as an error may repeat it: what follows a = or a : may be a value that slipped into a name.
func printable(name string) string {
	if secretLike(name) != "" {
		return "…"
	}
	if i := strings.IndexAny(name, "=:"); i >= 0 {
		name = name[:i] + "…"
	}
	if r := []rune(name); len(r) > 64 {
		name = string(r[:64]) + "…"
	}
	return visible(name)
}

// visible is a text without anything that a terminal obeys, or that looks like the end of a line: such characters are written as Go
// does.
func visible(text string) string {
	if presentable(text) {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// presentable reports whether a text is UTF-8 that can be shown as it is.
func presentable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
