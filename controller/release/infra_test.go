package release

import (
	"strings"
	"testing"
)

const cdkFile = `{
  "app": "go run .",
  "context": {"environments": {
    "dev": {"account": "000000000000", "controller": {"image": "0000000", "host": "deploy.dev.example"}},
    "qa": {"account": "111111111111", "controller": {"image": "0000000", "host": "deploy.qa.example"}},
    "bare": {"account": "222222222222"}
  }}
}
`

func TestSetController(t *testing.T) {
	w := newWorld(t)
	w.write("infra/cdk.json", cdkFile)
	older := w.commit("infra")
	newer := w.commit("controller")
	r, err := SetController(t.Context(), w.newClone(), ControllerChange{Env: "dev", Tag: newer})
	if err != nil || r.Outcome != Written || r.Before.Tag != "0000000" {
		t.Fatalf("%+v, %v", r, err)
	}
	want := strings.Replace(cdkFile, `"0000000", "host": "deploy.dev`, `"`+newer+`", "host": "deploy.dev`, 1)
	if got := w.asked("infra/cdk.json"); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
	for tag, outcome := range map[string]Outcome{newer: Already, older: Older} {
		if r, err := SetController(t.Context(), w.newClone(), ControllerChange{Env: "dev", Tag: tag}); err != nil || r.Outcome != outcome {
			t.Errorf("%s again: %+v, %v", tag, r, err)
		}
	}
	for _, env := range []string{"bare", "test"} {
		if _, err := SetController(t.Context(), w.newClone(), ControllerChange{Env: env, Tag: newer}); err == nil || !strings.Contains(err.Error(), "its environments are bare, dev, qa") {
			t.Errorf("%s: error %v", env, err)
		}
	}
}
