package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// ServiceEvents is how many of a service's events, the newest, DescribeServices answers here. ECS sends a hundred of each service
// (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html): most of the answer, and what most of the time is spent on
// that it takes to read it.
const ServiceEvents = 20

// fewEvents takes the events that nobody looks at out of DescribeServices' answer before it is read.
func fewEvents(stack *middleware.Stack) error {
	if stack.ID() != "DescribeServices" {
		return nil
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("FewEvents", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleDeserialize(ctx, in)
		if res, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil && res.StatusCode < 300 {
			res.Body = &shortened{body: res.Body, size: res.ContentLength}
		}
		return out, meta, err
	}), middleware.After)
}

// shortened is a body that is read whole and shortened when the first of it is asked for. Its errors are the body's own.
type shortened struct {
	body io.ReadCloser
	size int64 // as announced, negative or zero where it was not
	text *bytes.Buffer
	rest []byte
	err  error
}

// texts are kept for the next answer.
var texts = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// Read implements io.Reader.
func (s *shortened) Read(p []byte) (int, error) {
	if s.err == nil {
		s.text = texts.Get().(*bytes.Buffer)
		s.text.Reset()
		if s.size > 0 && s.size <= keptText {
			s.text.Grow(int(s.size) + bytes.MinRead)
		}
		if _, s.err = s.text.ReadFrom(s.body); s.err == nil {
			s.rest, s.err = shorten(s.text.Bytes(), "events", ServiceEvents), io.EOF
		}
	}
	if len(s.rest) == 0 {
		return 0, s.err
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// keptText is the largest buffer that is kept: ten services with all of their events are a quarter of it.
const keptText = 1 << 20

// Close implements io.Closer.
func (s *shortened) Close() error {
	if s.text != nil && s.text.Cap() <= keptText {
		texts.Put(s.text)
	}
	s.text, s.rest, s.err = nil, nil, fmt.Errorf("read a closed body: %w", io.ErrClosedPipe)
	return s.body.Close()
}

// shorten leaves the first elements of each list that is the member of that name of an object, wherever it is, and takes away the
// others. It works in place. What is not JSON is answered as it was, or with the lists before the mistake shortened, for others to
// complain about.
func shorten(text []byte, member string, elements int) []byte {
	out, kept := text[:0], 0 // what is decided on; from kept on nothing is
	for at := 0; at < len(text); {
		if text[at] != '"' {
			at++
			continue
		}
		from := at + 1
		if at = afterString(text, at); at < 0 {
			break
		}
		if at-1-from != len(member) || string(text[from:at-1]) != member {
			continue
		}
		list := spaces(text, at)
		if list == len(text) || text[list] != ':' {
			continue // a value
		}
		if list = spaces(text, list+1); list == len(text) || text[list] != '[' {
			continue
		}
		cut, end := bounds(text, list, elements)
		if end < 0 {
			break
		}
		out = append(out, text[kept:cut]...)
		kept, at = end, end
	}
	return append(out, text[kept:]...)
}

// bounds are where a list's surplus begins, with the comma before it, and where the list's bracket closes it: the same place where there
// is no surplus; end is negative where the list has no end.
func bounds(text []byte, list, elements int) (cut, end int) {
	depth, seen := 0, 0
	for at := list; at < len(text); at++ {
		switch text[at] {
		case '"':
			if at = afterString(text, at) - 1; at < 0 {
				return 0, -1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth > 0 {
				continue
			}
			if cut == 0 {
				cut = at
			}
			return cut, at
		case ',':
			if depth != 1 {
				continue
			}
			if seen++; seen == elements {
				cut = at
			}
		}
	}
	return 0, -1
}

// afterString is the place behind the string that begins there, negative where it has no end.
func afterString(text []byte, at int) int {
	for from := at + 1; ; {
		quote := bytes.IndexByte(text[from:], '"')
		if quote < 0 {
			return -1
		}
		end, escapes := from+quote, 0
		for text[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end + 1
		}
		from = end + 1
	}
}

func spaces(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
		at++
	}
	return at
}
