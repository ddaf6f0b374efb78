package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"pgregory.net/rapid"
)

// The newest events of each service are answered, and all else as it was sent.
func TestFewEvents(t *testing.T) {
	service := func(name string, events int) string {
		var all []string
		for i := range events {
			all = append(all, fmt.Sprintf(`{"id":"%d","createdAt":1.7e9,"message":"(service %s) \"quoted\", [%d], \\"}`, i, name, i))
		}
		return fmt.Sprintf(`{"serviceName":%q,"events":[%s],"tags":[{"key":"events","value":"[1,2,3]"}],"desiredCount":2}`, name, strings.Join(all, ","))
	}
	c := newClients(func(string, *http.Request) (*http.Response, error) {
		return answer(200, `{"failures":[{"arn":"c","reason":"MISSING"}],"services":[`+service("a", 100)+", "+service("b", 3)+`]}`)
	}, Options{})
	out, err := c.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"a", "b", "c"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{ServiceEvents, 3} {
		s := out.Services[i]
		if len(s.Events) != want || aws.ToString(s.Events[want-1].Id) != fmt.Sprint(want-1) || !strings.HasSuffix(aws.ToString(s.Events[0].Message), `[0], \`) {
			t.Errorf("service %d has %d events, want the newest %d", i, len(s.Events), want)
		}
		if s.DesiredCount != 2 || len(s.Tags) != 1 || aws.ToString(s.Tags[0].Value) != "[1,2,3]" {
			t.Errorf("service %d is %+v", i, s)
		}
	}
	if len(out.Failures) != 1 {
		t.Errorf("failures: %v", out.Failures)
	}
}

// An answer that breaks off is the error that it is without anybody looking at events.
func TestFewEventsOfABrokenAnswer(t *testing.T) {
	broken := errors.New("connection reset by peer")
	c := newClients(func(string, *http.Request) (*http.Response, error) {
		res, err := answer(200, "")
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"services":[{"events":[{"id":"1"},`), iotest.ErrReader(broken)))
		return res, err
	}, Options{ReadAttempts: 1})
	if _, err := c.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"a"}}); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// Whatever JSON says, it says the same afterwards, but for what is cut off.
func TestPropShorten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var draw func(depth int) any
		draw = func(depth int) any {
			kind := rapid.IntRange(0, 5).Draw(t, "kind")
			if depth == 0 {
				kind %= 4
			}
			switch kind {
			case 0:
				return rapid.StringOf(rapid.SampledFrom([]rune(`ab"\[]{},: events`+"\n\u00e9"))).Draw(t, "text")
			case 1:
				return rapid.Float64Range(-1e6, 1e6).Draw(t, "number")
			case 2:
				return rapid.Bool().Draw(t, "truth")
			case 3:
				return nil
			case 4:
				list := []any{}
				for range rapid.IntRange(0, 5).Draw(t, "elements") {
					list = append(list, draw(depth-1))
				}
				return list
			default:
				object := map[string]any{}
				for range rapid.IntRange(0, 4).Draw(t, "members") {
					object[rapid.SampledFrom([]string{"events", "a", "event", "events ", `"events`, `ev\ents`}).Draw(t, "name")] = draw(depth - 1)
				}
				return object
			}
		}
		was, elements := draw(4), rapid.IntRange(1, 3).Draw(t, "kept")
		text, err := json.Marshal(was)
		if err == nil && rapid.Bool().Draw(t, "spaced") {
			var spaced bytes.Buffer
			err = json.Indent(&spaced, text, "", "\t")
			text = spaced.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		before := string(text)
		var got any
		short := shorten(text, "events", elements)
		if err := json.Unmarshal(short, &got); err != nil {
			t.Fatalf("%s becomes %s: %v", before, short, err)
		}
		if want := cutOff(was, elements); !reflect.DeepEqual(got, want) {
			t.Errorf("%s becomes %s, want %v", before, short, want)
		}
	})
}

func cutOff(v any, elements int) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = cutOff(v[i], elements)
		}
	case map[string]any:
		for name, value := range v {
			if list, ok := value.([]any); ok && name == "events" {
				v[name] = list[:min(len(list), elements)]
			} else {
				v[name] = cutOff(value, elements)
			}
		}
	}
	return v
}

// What is not JSON is no reason to fall over, and is never made longer.
func FuzzShorten(f *testing.F) {
	for _, text := range []string{`{"events":[1,2,3,4]}`, `{"events":[[1,{"a":"]"},"\""],2,3],"events":[]}`, `{"events":[1,2,"`, `"events":[`, `"\\\"`, `{"events" : [ ]]]}`, `"`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		valid := json.Valid(text)
		size := len(text)
		short := shorten(text, "events", 2)
		if len(short) > size || valid && !json.Valid(short) {
			t.Errorf("it becomes %q", short)
		}
	})
}

func BenchmarkDescribeServices(b *testing.B) {
	var events []string
	for i := range 100 {
		events = append(events, fmt.Sprintf(`{"id":"a0d9a2a4-6f3c-4d55-8d0e-%012d","createdAt":1700000000.%03d,"message":"(service orders) registered 1 targets in (target-group arn:aws:elasticloadbalancing:eu-central-1:000000000000:targetgroup/orders/0123456789abcdef)"}`, i, i))
	}
	body := `{"failures":[],"services":[` + strings.TrimSuffix(strings.Repeat(`{"serviceName":"orders","events":[`+strings.Join(events, ",")+`]},`, 10), ",") + `]}`
	for name, opts := range map[string]func(*ecs.Options){
		"few": func(*ecs.Options) {},
		"all": func(o *ecs.Options) { o.APIOptions = o.APIOptions[:len(o.APIOptions)-1] },
	} {
		b.Run(name, func(b *testing.B) {
			c := newClients(func(string, *http.Request) (*http.Response, error) { return answer(200, body) }, Options{BurstShare: 1e6, RefillShare: 1e6})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ECS.DescribeServices(b.Context(), &ecs.DescribeServicesInput{Services: []string{"a"}}, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
