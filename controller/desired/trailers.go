package desired

import "strings"

// ConfirmTrailer is the trailer of a commit's message that lets a mass change go on: the number of services that it may change, or
// the id of the commit that asks for it.
const ConfirmTrailer = "Confirm-Mass-Change"

// Confirms are the values of the ConfirmTrailer in a commit's message. A trailer stands on a line of its own in the message's last
// paragraph, as git interpret-trailers reads it; its key is read in any case.
func Confirms(message string) []string {
	message = strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n"))
	at := strings.LastIndex(message, "\n\n")
	if at < 0 {
		return nil // the subject alone
	}
	var out []string
	for _, line := range strings.Split(message[at:], "\n") {
		key, value, found := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); found && value != "" && strings.EqualFold(strings.TrimSpace(key), ConfirmTrailer) {
			out = append(out, value)
		}
	}
	return out
}
