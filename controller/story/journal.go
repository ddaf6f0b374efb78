package story

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// journal is what happened, in order and with the world's time: commits, decisions, requests, deeds by hand.
type journal struct {
	began time.Time
	hide  string // the world's folder, which is another one in each run

	mu    sync.Mutex
	lines []line
}

type line struct {
	at   time.Time
	who  string
	text string
}

// whoReads marks requests that change nothing; the text of the journal joins them.
const whoReads = "reads"

func (j *journal) add(who, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), j.hide, "…")
	j.lines = append(j.lines, line{at: time.Now(), who: who, text: text})
}

// entries are all lines up to now.
func (j *journal) entries() []line {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// String is the journal for people.
func (j *journal) String() string {
	var b strings.Builder
	var reads []string
	lines := j.entries()
	for i, l := range lines {
		if l.who == whoReads {
			reads = append(reads, l.text)
			if i+1 < len(lines) && lines[i+1].who == whoReads && lines[i+1].at.Sub(l.at) < time.Second {
				continue
			}
			l.text, reads = strings.Join(reads, " "), nil
		}
		fmt.Fprintf(&b, "%s %-10s %s\n", j.clock(l.at), l.who, l.text)
	}
	return b.String()
}

// clock is the time since the world began.
func (j *journal) clock(at time.Time) string {
	d := at.Sub(j.began)
	return fmt.Sprintf("%02d:%02d:%06.3f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}

// core puts the controller's own log into the journal.
type core struct {
	*journal
	who    string // which controller, where there are two
	fields []zapcore.Field
}

func (c core) Enabled(l zapcore.Level) bool { return l >= zapcore.DebugLevel }
func (c core) With(f []zapcore.Field) zapcore.Core {
	return core{c.journal, c.who, slices.Concat(c.fields, f)}
}
func (c core) Sync() error { return nil }

func (c core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, c)
}

func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range slices.Concat(c.fields, fields) {
		enc := zapcore.NewMapObjectEncoder()
		f.AddTo(enc)
		for _, v := range enc.Fields {
			if text := fmt.Sprint(v); text != "" && text != "[]" {
				fmt.Fprintf(&b, " %s=%s", f.Key, text)
			}
		}
	}
	who := "controller"
	if c.who != "" {
		who = c.who
	}
	c.add(who, "%s", b.String())
	return nil
}
