package desired

import (
	"encoding/json"
	"testing"
)

// What a rollout says is written as the file has it, and read again it is the same.
func TestRolloutIsWrittenAsTheFileHasIt(t *testing.T) {
	for _, c := range []struct {
		rollout Rollout
		want    string
	}{
		{Rollout{}, `{}`},
		{Rollout{Deadline: Duration(600e9)}, `{"deadline":"10m"}`},
		{Rollout{Strategy: "recreate"}, `{"strategy":"recreate"}`},
		{Rollout{Params: json.RawMessage(`{}`)}, `{}`},
		{Rollout{Params: json.RawMessage(` {"a":{"b":"}"}} `)}, `{"a":{"b":"}"}}`},
		{Rollout{Deadline: Duration(600e9), Params: json.RawMessage(`{"a":1,"b":[2]}`), Strategy: "rolling"}, `{"a":1,"b":[2],"deadline":"10m","strategy":"rolling"}`},
	} {
		got, err := json.Marshal(c.rollout)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v is written as %s, %v; want %s", c.rollout, got, err, c.want)
			continue
		}
		var again Rollout
		if err := json.Unmarshal(got, &again); err != nil {
			t.Errorf("%s: %v", got, err)
		}
		if text, err := json.Marshal(again); err != nil || string(text) != c.want {
			t.Errorf("%s, read and written again, is %s, %v", c.want, text, err)
		}
	}
	for _, broken := range []string{`null`, `[]`, `{`, `}`, `{"a":}`, `{"a":1}}`, `{"a":1},{"b":2}`} {
		if got, err := json.Marshal(Rollout{Params: json.RawMessage(broken), Strategy: "rolling"}); err == nil {
			t.Errorf("parameters %s are written as %s", broken, got)
		}
	}
}
