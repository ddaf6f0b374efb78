package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// jsonSink writes awsJson: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
type jsonSink struct{ buf []byte }

// sinks are kept for the next answer, so that none grows its buffer from nothing.
var sinks = sync.Pool{New: func() any { return &jsonSink{} }}

func (s *jsonSink) comma() {
	if n := len(s.buf); n > 0 && s.buf[n-1] != '{' && s.buf[n-1] != '[' && s.buf[n-1] != ':' {
		s.buf = append(s.buf, ',')
	}
}

func (s *jsonSink) name(n string) { s.comma(); s.text(n); s.buf = append(s.buf, ':') }

func (s *jsonSink) beginStruct()      { s.buf = append(s.buf, '{') }
func (s *jsonSink) member(n string)   { s.comma(); s.plain(n); s.buf = append(s.buf, ':') } // members have Go's names
func (s *jsonSink) endMember(string)  {}
func (s *jsonSink) endStruct()        { s.buf = append(s.buf, '}') }
func (s *jsonSink) beginList()        { s.buf = append(s.buf, '[') }
func (s *jsonSink) item()             { s.comma() }
func (s *jsonSink) endItem()          {}
func (s *jsonSink) endList()          { s.buf = append(s.buf, ']') }
func (s *jsonSink) beginMap()         { s.buf = append(s.buf, '{') }
func (s *jsonSink) key(k string)      { s.name(k) }
func (s *jsonSink) endKey()           {}
func (s *jsonSink) endMap()           { s.buf = append(s.buf, '}') }
func (s *jsonSink) boolean(b bool)    { s.buf = strconv.AppendBool(s.buf, b) }
func (s *jsonSink) integer(i int64)   { s.buf = strconv.AppendInt(s.buf, i, 10) }
func (s *jsonSink) document(j []byte) { s.buf = append(s.buf, j...) }

func (s *jsonSink) text(t string) {
	if unescaped(t) {
		s.plain(t)
		return
	}
	b, err := json.Marshal(t)
	if err != nil { // cannot happen: json.Marshal of a string replaces what is not UTF-8
		panic(err)
	}
	s.buf = append(s.buf, b...)
}

func (s *jsonSink) plain(t string) { s.buf = append(append(append(s.buf, '"'), t...), '"') }

// unescaped reports that json.Marshal writes the text as it is, between quotes.
func unescaped(t string) bool {
	for ; len(t) >= 8; t = t[8:] {
		if !eightAsTheyAre(uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 | uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56) {
			return false
		}
	}
	for i := range len(t) {
		if !asItIs[t[i]] {
			return false
		}
	}
	return true
}

// eightAsTheyAre tells of eight characters at once what asItIs tells of one: no byte has its high bit, is below a space, or is one of
// "&, <>, \ and DEL, of which the two of a pair differ in one bit.
func eightAsTheyAre(x uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	zero := func(v uint64) uint64 { return (v - ones) &^ v } // has the high bit of some byte where one is 0
	return (x|(x-ones*' ')&^x|zero(x|ones*4^ones*'&')|zero(x|ones*2^ones*'>')|zero(x^ones*'\\')|zero(x^ones*0x7f))&highs == 0
}

var asItIs = func() (is [256]bool) {
	for b := ' '; b <= '~'; b++ {
		is[b] = !strings.ContainsRune(`"\<>&`, b)
	}
	return is
}()

func (s *jsonSink) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s.text(nonNumber(f))
		return
	}
	s.buf = strconv.AppendFloat(s.buf, f, 'g', -1, 64)
}

func (s *jsonSink) timestamp(t time.Time) {
	s.buf = strconv.AppendFloat(s.buf, float64(t.UnixMilli())/1000, 'f', -1, 64)
}

func (s *jsonSink) blob(b []byte) { s.text(base64.StdEncoding.EncodeToString(b)) }

func nonNumber(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case f > 0:
		return "Infinity"
	default:
		return "-Infinity"
	}
}

// xmlSink writes the answers of awsQuery: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
type xmlSink struct{ buf bytes.Buffer }

func (s *xmlSink) open(n string)  { s.buf.WriteString("<" + n + ">") }
func (s *xmlSink) close(n string) { s.buf.WriteString("</" + n + ">") }

func (s *xmlSink) beginStruct()       {}
func (s *xmlSink) member(n string)    { s.open(n) }
func (s *xmlSink) endMember(n string) { s.close(n) }
func (s *xmlSink) endStruct()         {}
func (s *xmlSink) beginList()         {}
func (s *xmlSink) item()              { s.open("member") }
func (s *xmlSink) endItem()           { s.close("member") }
func (s *xmlSink) endList()           {}
func (s *xmlSink) beginMap()          {}
func (s *xmlSink) key(k string) {
	s.open("entry")
	s.open("key")
	s.text(k)
	s.close("key")
	s.open("value")
}
func (s *xmlSink) endKey()         { s.close("value"); s.close("entry") }
func (s *xmlSink) endMap()         {}
func (s *xmlSink) boolean(b bool)  { s.buf.WriteString(strconv.FormatBool(b)) }
func (s *xmlSink) integer(i int64) { s.buf.WriteString(strconv.FormatInt(i, 10)) }
func (s *xmlSink) timestamp(t time.Time) {
	s.buf.WriteString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}
func (s *xmlSink) blob(b []byte)     { s.buf.WriteString(base64.StdEncoding.EncodeToString(b)) }
func (s *xmlSink) document(j []byte) { s.text(string(j)) }

func (s *xmlSink) text(t string) {
	if err := xml.EscapeText(&s.buf, []byte(t)); err != nil { // a bytes.Buffer does not fail
		panic(err)
	}
}

func (s *xmlSink) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s.buf.WriteString(nonNumber(f))
		return
	}
	s.buf.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
}

// cborSink writes RPC v2 CBOR: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html. Maps and
// lists have indefinite length, as their size is not known when they begin.
type cborSink struct{ buf []byte }

const (
	cborList = 0x9f
	cborMap  = 0xbf
	cborEnd  = 0xff

	cborEpoch = 1 // tag of a time in epoch seconds
)

func (s *cborSink) put(v cbor.Value) { s.buf = append(s.buf, cbor.Encode(v)...) }

func (s *cborSink) beginStruct()      { s.buf = append(s.buf, cborMap) }
func (s *cborSink) member(n string)   { s.text(n) }
func (s *cborSink) endMember(string)  {}
func (s *cborSink) endStruct()        { s.buf = append(s.buf, cborEnd) }
func (s *cborSink) beginList()        { s.buf = append(s.buf, cborList) }
func (s *cborSink) item()             {}
func (s *cborSink) endItem()          {}
func (s *cborSink) endList()          { s.buf = append(s.buf, cborEnd) }
func (s *cborSink) beginMap()         { s.buf = append(s.buf, cborMap) }
func (s *cborSink) key(k string)      { s.text(k) }
func (s *cborSink) endKey()           {}
func (s *cborSink) endMap()           { s.buf = append(s.buf, cborEnd) }
func (s *cborSink) text(t string)     { s.put(cbor.String(t)) }
func (s *cborSink) boolean(b bool)    { s.put(cbor.Bool(b)) }
func (s *cborSink) float(f float64)   { s.put(cbor.Float64(f)) }
func (s *cborSink) blob(b []byte)     { s.put(cbor.Slice(b)) }
func (s *cborSink) document(j []byte) { s.text(string(j)) }

func (s *cborSink) integer(i int64) {
	if i < 0 {
		s.put(cbor.NegInt(uint64(-i)))
		return
	}
	s.put(cbor.Uint(uint64(i)))
}

func (s *cborSink) timestamp(t time.Time) {
	s.put(&cbor.Tag{ID: cborEpoch, Value: cbor.Float64(float64(t.UnixMilli()) / 1000)})
}
