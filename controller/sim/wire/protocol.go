package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// protocol reads requests and writes answers in one of AWS's forms.
type protocol interface {
	// input makes the tree that codec.decode takes.
	input(body []byte) (any, error)
	// output and failed answer the body and add headers. Where output answers a sink too, the body is in its buffer.
	output(c *codec, operation string, out reflect.Value, id string, h http.Header) ([]byte, *jsonSink)
	failed(c *codec, f failure, id string, h http.Header) []byte
}

// target is what a request asks for: a service (nil where unknown), an operation, a protocol.
type target struct {
	service   *mounted
	operation string
	protocol  protocol
	asked     string // the service as the request names it, for errors
}

var credentialScope = regexp.MustCompile(`Credential=[^/,]+/\d{8}/[^/]+/([^/]+)/aws4_request`)

// signingName answers the service of the SigV4 credential scope, or nothing.
func signingName(h http.Header) string {
	if m := credentialScope.FindStringSubmatch(h.Get("Authorization")); m != nil {
		return m[1]
	}
	return ""
}

// route finds out what is asked, in the order: RPC v2 path, X-Amz-Target, form.
func (m *Mux) route(path string, h http.Header, body []byte) (target, error) {
	if h.Get("Smithy-Protocol") == "rpc-v2-cbor" {
		service, operation, ok := rpcPath(path)
		if !ok {
			return target{protocol: cborProtocol{}}, serialization("path %q is not /service/<Service>/operation/<Operation>", path)
		}
		s := m.targets[service]
		return target{service: s, operation: operation, protocol: cborProtocol{service: s}, asked: service}, nil
	}
	if t := h.Get("X-Amz-Target"); t != "" {
		i := strings.LastIndexByte(t, '.')
		p := jsonProtocol{version: "1.1"}
		if strings.HasPrefix(h.Get("Content-Type"), "application/x-amz-json-1.0") {
			p.version = "1.0"
		}
		if i < 0 {
			return target{protocol: p}, serialization("X-Amz-Target %q is not <Service>.<Operation>", t)
		}
		p.service = m.targets[t[:i]]
		return target{service: p.service, operation: t[i+1:], protocol: p, asked: t[:i]}, nil
	}
	return m.routeForm(path, h, body)
}

func rpcPath(path string) (service, operation string, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 4 {
		return "", "", false
	}
	parts = parts[len(parts)-4:]
	return parts[1], parts[3], parts[0] == "service" && parts[2] == "operation"
}

type jsonProtocol struct {
	service *mounted
	version string
}

func (jsonProtocol) input(body []byte) (any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, serialization("the body is not JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, serialization("the body has something after its JSON value")
	}
	return v, nil
}

func (p jsonProtocol) output(c *codec, _ string, out reflect.Value, _ string, h http.Header) ([]byte, *jsonSink) {
	h.Set("Content-Type", "application/x-amz-json-"+p.version)
	// Most answers are short, and some have all tasks of a service or its hundred events.
	w := sinks.Get().(*jsonSink)
	w.buf = w.buf[:0]
	c.encode(w, out)
	return w.buf, w
}

func (p jsonProtocol) failed(c *codec, f failure, _ string, h http.Header) []byte {
	h.Set("Content-Type", "application/x-amz-json-"+p.version)
	key := "message"
	if p.service != nil {
		key = p.service.ErrorMessage
		if p.service.QueryErrors {
			h.Set("X-Amzn-Query-Error", queryError(f))
		}
	}
	w := &jsonSink{}
	writeFailure(c, w, f, f.shape, key)
	return w.buf
}

// writeFailure is the body of an error in JSON and CBOR: __type, the text, and what else the exception has.
func writeFailure(c *codec, w sink, f failure, shape, key string) {
	w.beginStruct()
	w.member("__type")
	w.text(shape)
	w.endMember("__type")
	w.member(key)
	w.text(f.message)
	w.endMember(key)
	if f.extra.IsValid() && c != nil {
		for _, m := range c.plan(f.extra.Type()).fields {
			if v := f.extra.Field(m.index); !strings.EqualFold(m.name, "message") && !isAbsent(v) {
				w.member(m.name)
				c.encode(w, v)
				w.endMember(m.name)
			}
		}
	}
	w.endStruct()
}

func queryError(f failure) string {
	if f.server {
		return f.code + ";Receiver"
	}
	return f.code + ";Sender"
}

type cborProtocol struct{ service *mounted }

func (cborProtocol) input(body []byte) (any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return nil, serialization("the body is not CBOR: %v", err)
	}
	return cborTree(v)
}

func (cborProtocol) output(c *codec, _ string, out reflect.Value, _ string, h http.Header) ([]byte, *jsonSink) {
	cborHeaders(h)
	w := &cborSink{}
	c.encode(w, out)
	return w.buf, nil
}

func (p cborProtocol) failed(c *codec, f failure, _ string, h http.Header) []byte {
	cborHeaders(h)
	shape, key := f.shape, "message"
	if p.service != nil {
		key = p.service.ErrorMessage
		if p.service.Namespace != "" {
			shape = p.service.Namespace + "#" + shape
		}
		if p.service.QueryErrors {
			h.Set("X-Amzn-Query-Error", queryError(f))
		}
	}
	w := &cborSink{}
	writeFailure(c, w, f, shape, key)
	return w.buf
}

func cborHeaders(h http.Header) {
	h.Set("Content-Type", "application/cbor")
	h.Set("Smithy-Protocol", "rpc-v2-cbor")
}

// cborTree makes the tree that codec.decode takes.
func cborTree(v cbor.Value) (any, error) {
	switch v := v.(type) {
	case cbor.String:
		return string(v), nil
	case cbor.Bool:
		return bool(v), nil
	case cbor.Uint, cbor.NegInt:
		n, err := cbor.AsInt64(v)
		if err != nil {
			return nil, serialization("integer out of range: %v", err)
		}
		return n, nil
	case cbor.Float32:
		return float64(v), nil
	case cbor.Float64:
		return float64(v), nil
	case cbor.Slice:
		return []byte(v), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	case *cbor.Tag:
		at, err := cbor.AsTime(v)
		if err != nil {
			return nil, serialization("tag %d is not a time: %v", v.ID, err)
		}
		return at.UTC(), nil
	case cbor.List:
		out := make([]any, len(v))
		for i, e := range v {
			t, err := cborTree(e)
			if err != nil {
				return nil, err
			}
			out[i] = t
		}
		return out, nil
	case cbor.Map:
		out := make(map[string]any, len(v))
		for k, e := range v {
			t, err := cborTree(e)
			if err != nil {
				return nil, err
			}
			out[k] = t
		}
		return out, nil
	default:
		return nil, serialization("CBOR item of type %T is not one a request may hold", v)
	}
}
