package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// A text is written as it is if, and only if, JSON has it so: each byte at each place of a word and behind it.
func TestUnescaped(t *testing.T) {
	for b := range 256 {
		for at := range 20 {
			text := []byte("abcdefghijklmnopqrst")
			text[at] = byte(b)
			written, err := json.Marshal(string(text))
			if err != nil {
				t.Fatal(err)
			}
			// DEL is the one that this package leaves to JSON although it would be written as it is.
			if want := string(written) == `"`+string(text)+`"` && b != 0x7f; unescaped(string(text)) != want {
				t.Errorf("byte %#x at %d: unescaped is %t, JSON writes %s", b, at, !want, written)
			}
		}
	}
}

// What is in a list that is kept is written once, whichever list it is in; another item at the same time is written as it is.
func TestKept(t *testing.T) {
	c, err := newCodec(ECS(nil))
	if err != nil {
		t.Fatal(err)
	}
	events := func(n int) []ecstypes.ServiceEvent {
		out := make([]ecstypes.ServiceEvent, n)
		for i := range out {
			out[i].Message = aws.String(fmt.Sprint("event ", i))
		}
		return out
	}
	write := func(list []ecstypes.ServiceEvent) string {
		w := &jsonSink{}
		c.encode(w, reflect.ValueOf(list))
		return string(w.buf)
	}
	for n, want := range []string{`[]`, `[{"message":"event 0"}]`, `[{"message":"event 0"},{"message":"event 1"}]`} {
		if got := write(events(n)); got != want {
			t.Errorf("%d events are written as %s, want %s", n, got, want)
		}
	}
	three := events(3)
	write(three[1:])
	three[1].Message = aws.String("changed, which no engine does")
	if got, want := write(three), `[{"message":"event 0"},{"message":"event 1"},{"message":"event 2"}]`; got != want {
		t.Errorf("with two that were written before it is %s, want %s", got, want)
	}
	for range 2 * keptMax / 100 {
		write(events(100))
		if len(c.kept.items) > keptMax {
			t.Fatalf("%d items are remembered", len(c.kept.items))
		}
	}
}

// A body that was closed lends its memory to the next answer and has nothing to read any more; closed twice it lends it once.
func TestBodyIsLentOnce(t *testing.T) {
	sink := &jsonSink{buf: []byte("secret")}
	body := &answerBody{Reader: bytes.NewReader(sink.buf), answer: answer{body: sink.buf, sink: sink}}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(body); err != nil || len(rest) != 0 {
		t.Errorf("a closed body answers %q, %v", rest, err)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if a, b := sinks.Get(), sinks.Get(); a == b {
		t.Error("one buffer is lent to two answers")
	}
}
