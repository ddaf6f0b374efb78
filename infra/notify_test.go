package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const told = `{
  "apiVersion": "deploy/v1", "kind": "Notifications",
  "receivers": {
    "ops": {"slack": {"channel": "C0123456789", "token": {"secretsManager": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:slack-a1b2c3#token"}}},
    "audit": {"webhook": {
      "url": {"secretsManager": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:audit-d4e5f6#url"},
      "secret": {"secretsManager": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:audit-d4e5f6#key"}}}
  },
  "routes": [{"receiver": "ops", "severity": "warning"}, {"receiver": "audit"}]
}`

// Who is told of what is in the settings: the controller takes it as it comes to its container, and its role reads the secrets that it
// names, and no others.
func TestControllerTellsPeople(t *testing.T) {
	s := settingsOf(t, "dev")
	if err := json.Unmarshal([]byte(told), &s.Controller.Notify); err != nil {
		t.Fatal(err)
	}
	s.Controller.Otlp = "https://collector.example"
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	main := synth(t, s).main
	reads := allowed(t, main, "order-processing-dev-controller")["secretsmanager:GetSecretValue"]
	want := []any{"arn:aws:secretsmanager:eu-central-1:000000000000:secret:audit-d4e5f6", "arn:aws:secretsmanager:eu-central-1:000000000000:secret:slack-a1b2c3"}
	if len(reads) != 1 || !slices.Equal(list(reads[0]["Resource"]), want) {
		t.Errorf("the controller reads %v, want %v", reads, want)
	}
	container := properties(t, main, "AWS::ECS::TaskDefinition", "Family", "order-processing-dev-controller")["ContainerDefinitions"].([]any)[0].(object)
	args := strings.Join(s.controllerArgs(), " ")
	if !strings.HasSuffix(args, " --notify env:DEPLOY_NOTIFY --otlp https://collector.example") {
		t.Errorf("called with %s", args)
	}
	text := ""
	for _, v := range container["Environment"].([]any) {
		if v.(object)["Name"] == "DEPLOY_NOTIFY" {
			text, _ = v.(object)["Value"].(string)
		}
	}
	// Whom it does not know it says once all of the rest was read.
	run := exec.Command("go", "run", "./controller/cmd/controller", "notify", "test", "--notify", "env:DEPLOY_NOTIFY", "nobody")
	run.Dir, run.Env = "..", append(os.Environ(), "DEPLOY_NOTIFY="+text)
	if out, _ := run.CombinedOutput(); !strings.Contains(string(out), `env:DEPLOY_NOTIFY names no receiver "nobody"`) {
		t.Errorf("the controller does not take %s:\n%s", text, out)
	}
}
