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

// A list that is kept is written once, and another list at the same time, or a longer one that begins with it, as it is.
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
		c.encode(w, reflect.ValueOf(ecstypes.Service{Events: list}))
		return string(w.buf)
	}
	two := events(2)
	first := write(two)
	two[0].Message = aws.String("changed, which no engine does")
	if again := write(two); again != first {
		t.Errorf("it was written anew: %s", again)
	}
	if got := write(two[:1]); !bytes.Contains([]byte(got), []byte("changed")) || bytes.Contains([]byte(got), []byte("event 1")) {
		t.Errorf("a part of it is written as %s", got)
	}
	for n := range 2 * keptMax {
		write(events(1 + n%3))
		if len(c.kept.lists) > keptMax {
			t.Fatalf("%d lists are remembered", len(c.kept.lists))
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
