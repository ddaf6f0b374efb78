package plan

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// markdownMax is how long the Markdown may become, in bytes: GitHub takes comments of up to 65,536 characters.
const markdownMax = 60_000

// Marker is the first line of the Markdown: whoever writes the comment finds by it the one that it wrote before. It is the
// same for the same environment, for ever.
func (p Plan) Marker() string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, p.Environment)
	return "<!-- controller plan: " + strings.ReplaceAll(name, "--", "-.") + " -->"
}

// Markdown writes the plan as the comment of a pull request: a table of what would happen, and the rest folded away. Nothing
// that came from files, commits or AWS is read as Markdown or HTML, mentions anybody or refers to anything. It is cut at
// 60,000 bytes.
func (p Plan) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### Plan for %s\n\n%s. Account %s, %s, %s.\n", p.Marker(), code(p.Environment), prose(p.tally()), code(p.Account), code(p.Region), prose(p.madeFrom()))
	for _, e := range p.Invalid {
		fmt.Fprintf(&b, "- %s\n", code(e.Error()))
	}
	var told []Service
	var quiet []string
	for _, s := range p.ordered() {
		if s.quiet() {
			quiet = append(quiet, code(s.Name))
			continue
		}
		told = append(told, s)
	}
	if len(told) > 0 {
		b.WriteString("\n| | service | what happens |\n|---|---|---|\n")
	}
	var end strings.Builder
	if len(quiet) > 0 {
		fold(&end, fmt.Sprintf("%d without change", len(quiet)), strings.Join(quiet, ", ")+"\n")
	}
	for _, note := range p.Notes {
		fmt.Fprintf(&end, "\n_%s_\n", prose(note))
	}
	rest := end.String()
	if len(rest) > markdownMax/2 {
		rest = fmt.Sprintf("\n%d services are without change.\n", len(quiet))
	}
	room := markdownMax - len(rest) - 200
	rows := 0
	for _, s := range told {
		w := effectWords[s.Effect]
		row := fmt.Sprintf("| %s %s | %s | %s |\n", w.mark, w.words, cell(s.Name), prose(s.Summary))
		if b.Len()+len(row) > room {
			break
		}
		b.WriteString(row)
		rows++
	}
	left := len(told)
	for _, s := range told[:rows] {
		var part strings.Builder
		s.markdown(&part)
		if b.Len()+part.Len() > room {
			break
		}
		b.WriteString(part.String())
		left--
	}
	if left > 0 {
		fmt.Fprintf(&b, "\nThere is no room here for the details of %d more services. The command prints them all.\n", left)
	}
	b.WriteString(rest)
	return b.String()
}

func (s Service) markdown(b *strings.Builder) {
	var inner strings.Builder
	if advice := s.advice(); advice != "" {
		fmt.Fprintf(&inner, "%s\n", prose(advice))
	}
	var invalid []string
	for _, e := range s.Invalid {
		invalid = append(invalid, e.Error())
	}
	if len(invalid) > 0 {
		fence(&inner, "text", invalid)
	}
	for _, section := range s.sections() {
		if section.title == titleChanges {
			fence(&inner, "diff", section.lines)
			continue
		}
		fmt.Fprintf(&inner, "\n**%s**\n", section.title)
		for i, l := range section.lines {
			mark := "-"
			if section.ordered {
				mark = strconv.Itoa(i+1) + "."
			}
			fmt.Fprintf(&inner, "%s %s\n", mark, prose(l))
		}
	}
	fold(b, "<code>"+still(html.EscapeString(line(s.Name)))+"</code>: "+effectWords[s.Effect].words, inner.String())
}

// fold hides a text below a title, which is HTML. The blank lines end the blocks of HTML, so that the text is Markdown.
func fold(b *strings.Builder, title, text string) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n%s\n</details>\n", title, strings.Trim(text, "\n"))
}

// fence writes lines as they are, between fences that none of them can close.
func fence(b *strings.Builder, language string, lines []string) {
	ticks := "```"
	for _, l := range lines {
		for strings.Contains(l, ticks) {
			ticks += "`"
		}
	}
	fmt.Fprintf(b, "\n%s%s\n", ticks, language)
	for _, l := range lines {
		fmt.Fprintf(b, "%s\n", line(l))
	}
	fmt.Fprintf(b, "%s\n", ticks)
}

// code is a text as a code span, in which nothing has a meaning.
func code(s string) string {
	s = line(s)
	if strings.TrimSpace(s) == "" {
		return "(empty)"
	}
	ticks := "`"
	for strings.Contains(s, ticks) {
		ticks += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// prose is a text in which no character has a meaning for Markdown or HTML: CommonMark lets every ASCII punctuation
// character be escaped (https://spec.commonmark.org/0.31.2/#backslash-escapes). Escapes do not keep GitHub from making
// mentions and references of the text that results; a word joiner does. Characters that mean nothing where they stand are
// left alone, for who reads the source.
func prose(s string) string {
	s = strings.TrimSpace(line(s))
	var b strings.Builder
	for i, r := range s {
		if strings.ContainsRune(risky, r) || begins(s, i, r) || links(s, i, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if r == '@' || r == '#' {
			b.WriteString(joiner)
		}
	}
	return b.String()
}

// risky begin something wherever they stand.
const risky = "\\`*_{}[]#+!|<>~@&$"

// links reports whether the character would make GitHub link what looks like an address
// (https://github.github.com/gfm/#autolinks-extension-).
func links(s string, i int, r rune) bool {
	before := strings.ToLower(s[:i])
	switch r {
	case '.':
		return strings.HasSuffix(before, "www")
	case ':':
		return strings.HasPrefix(s[i:], "://") || strings.HasSuffix(before, "mailto") || strings.HasSuffix(before, "xmpp")
	}
	return false
}

// begins reports whether the character would make a list, a heading or a rule of the line that it stands at the beginning of.
func begins(s string, i int, r rune) bool {
	switch r {
	case '-', '=':
		return i == 0
	case '.', ')':
		return i > 0 && strings.Trim(s[:i], "0123456789") == ""
	}
	return false
}

const joiner = "\u2060"

// still keeps a text of HTML from mentioning or referring.
func still(s string) string {
	return strings.NewReplacer("@", "@"+joiner, "&#", "&#", "#", "#"+joiner).Replace(s)
}

// cell is a code span in a cell of a table, which a bar would end even there.
func cell(s string) string { return code(strings.ReplaceAll(s, "|", "¦")) }
