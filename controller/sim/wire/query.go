package wire

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

type queryProtocol struct {
	service *mounted
	form    url.Values
}

func (p queryProtocol) input([]byte) (any, error) { return parseForm(p.form) }

func (p queryProtocol) output(c *codec, operation string, out reflect.Value, id string, h http.Header) ([]byte, *jsonSink) {
	h.Set("Content-Type", "text/xml")
	w := &xmlSink{}
	fmt.Fprintf(&w.buf, `<%sResponse xmlns="%s"><%sResult>`, operation, p.service.XMLNS, operation)
	c.encode(w, out)
	fmt.Fprintf(&w.buf, "</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>", operation, id, operation)
	return w.buf.Bytes(), nil
}

func (p queryProtocol) failed(_ *codec, f failure, id string, h http.Header) []byte {
	h.Set("Content-Type", "text/xml")
	w := &xmlSink{}
	xmlns, side := "", "Sender"
	if p.service != nil {
		xmlns = ` xmlns="` + p.service.XMLNS + `"`
	}
	if f.server {
		side = "Receiver"
	}
	fmt.Fprintf(&w.buf, "<ErrorResponse%s><Error><Type>%s</Type><Code>", xmlns, side)
	w.text(f.code)
	w.buf.WriteString("</Code><Message>")
	w.text(f.message)
	fmt.Fprintf(&w.buf, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>", id)
	return w.buf.Bytes()
}

// queryStatus answers the HTTP status of an error by its shape, 0 where it is that of every protocol.
func (t target) queryStatus(shape string) int {
	if _, ok := t.protocol.(queryProtocol); !ok || t.service == nil {
		return 0
	}
	return t.service.QueryStatus[shape]
}

func (m *Mux) routeForm(path string, h http.Header, body []byte) (target, error) {
	q, err := url.ParseQuery(string(body))
	if err != nil || q.Get("Action") == "" {
		return target{protocol: queryProtocol{}}, serialization("the request is none of RPC v2 CBOR (Smithy-Protocol), " +
			"awsJson (X-Amz-Target) or awsQuery (a form with Action and Version)")
	}
	asked := signingName(h)
	s := m.services[asked]
	if s == nil || s.Version != q.Get("Version") {
		s = nil
		if same := m.versions[q.Get("Version")]; len(same) == 1 && asked == "" {
			s = same[0]
		}
	}
	if s != nil && s.leavesToPath(q, path) {
		q.Set(s.PathMember, strings.TrimSuffix(path, "/"))
	}
	if asked == "" {
		asked = "with Version " + q.Get("Version")
	}
	return target{service: s, operation: q.Get("Action"), protocol: queryProtocol{service: s, form: q}, asked: asked}, nil
}

// leavesToPath holds where a request's path stands for a member that its operation has: /<account>/<queue>.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-xml.html
func (s *mounted) leavesToPath(q url.Values, path string) bool {
	op := s.operations[q.Get("Action")]
	if s.PathMember == "" || q.Has(s.PathMember) || op == nil || strings.Count(strings.Trim(path, "/"), "/") != 1 {
		return false
	}
	_, has := op.input.FieldByName(s.PathMember)
	return has
}
