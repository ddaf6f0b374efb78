package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type desiredEnvironment struct {
	Metadata struct{ Name string }
	Spec     struct{ Account, Region string }
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// The environments are those of desired/, in the same accounts: a controller refuses to work in another one.
func TestEnvironmentsAreDesired(t *testing.T) {
	paths, err := filepath.Glob("../desired/*/environment.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("desired/ has no environments: %v", err)
	}
	var seen []string
	for _, path := range paths {
		var e desiredEnvironment
		readYAML(t, path, &e)
		s := settingsOf(t, e.Metadata.Name)
		if folder := filepath.Base(filepath.Dir(path)); s.Account != e.Spec.Account || s.Region != e.Spec.Region || s.Folder != folder {
			t.Errorf("%s is account %s, region %s, folder %s; cdk.json says %s, %s, %s", path, e.Spec.Account, e.Spec.Region, folder, s.Account, s.Region, s.Folder)
		}
		seen = append(seen, e.Metadata.Name)
	}
	if slices.Sort(seen); !slices.Equal(seen, all(t)) {
		t.Errorf("desired/ has %v, cdk.json %v", seen, all(t))
	}
}

// What the service's file names of the infrastructure is there: stack, container, alarms, secrets.
func TestDesiredNamesWhatIsThere(t *testing.T) {
	for _, env := range all(t) {
		s, main := settingsOf(t, env), templates(t, env).main
		var file struct {
			Spec struct {
				Stack      string
				Containers map[string]struct{ Secrets map[string]string }
				Verify     struct{ Alarms map[string][]string }
			}
		}
		readYAML(t, filepath.Join("../desired", s.Folder, service+".yaml"), &file)
		if file.Spec.Stack != s.stackName() {
			t.Errorf("%s: the file's stack is %s", env, file.Spec.Stack)
		}
		template := properties(t, main, "AWS::ECS::TaskDefinition", "Family", s.templateFamily())
		for name, c := range file.Spec.Containers {
			if !has(template, `"Name":"`+name+`"`) {
				t.Errorf("%s: the template has no container %s", env, name)
			}
			for variable, reference := range c.Secrets {
				secret := strings.Split(reference, ":")[1]
				properties(t, main, "AWS::SecretsManager::Secret", "Name", secret)
				if !has(template, `"Name":"`+variable+`"`) {
					t.Errorf("%s: %s is read of %s, which the execution role was not given", env, variable, secret)
				}
			}
		}
		for _, names := range file.Spec.Verify.Alarms {
			for _, name := range names {
				properties(t, main, "AWS::CloudWatch::Alarm", "AlarmName", name)
				// The first version waits for ever where an alarm is named that is made after it.
				for _, r := range resources(main, "AWS::CloudWatch::Alarm") {
					if r["Properties"].(object)["AlarmName"] == name && r["Condition"] != nil {
						t.Errorf("%s: alarm %s is not there before a first version is good", env, name)
					}
				}
			}
		}
	}
}

// A task that lives longer than two turns of the rotation has a password that is no good any more. dev and qa get a version more often.
func TestRotationStartsTasksAnew(t *testing.T) {
	for _, env := range []string{"staging", "production"} {
		s := settingsOf(t, env)
		var file struct {
			Spec struct {
				OnSecretChange string `yaml:"onSecretChange"`
			}
		}
		readYAML(t, filepath.Join("../desired", s.Folder, service+".yaml"), &file)
		if file.Spec.OnSecretChange != "restart" {
			t.Errorf("%s: the password turns every %d days, and onSecretChange is %q", env, s.Database.RotationDays, file.Spec.OnSecretChange)
		}
	}
}

// The secrets that no stack makes are told to whoever makes them by hand, on both pages, and all are in the bill.
func TestSecretsByHandAreTold(t *testing.T) {
	s, main := settingsOf(t, "dev"), templates(t, "dev").main
	made := len(resources(main, "AWS::SecretsManager::Secret"))
	byHand := map[string]bool{}
	for _, found := range regexp.MustCompile(`secret(?:smanager)?:`+s.secret("")+`([a-z]+(?:-[a-z]+)*)`).FindAllSubmatch(write(t, main), -1) {
		byHand[string(found[1])] = true
	}
	if len(byHand) != 3 || made != 3 {
		t.Errorf("%v are made by hand and %d by the stack; mend the pages, and this test", byHand, made)
	}
	bootstrap, err := os.ReadFile("../docs/from-nothing-to-production.md")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range byHand {
		if !strings.Contains(string(bootstrap), "/"+name+"`") && !strings.Contains(string(bootstrap), "/"+name+" ") || !strings.Contains(string(steps), "order-processing-ENV/"+name+"`") {
			t.Errorf("the pages do not both say that %s is to be made", name)
		}
	}
	bill := regexp.MustCompile(`(?m)^\| secrets \| (.*) \| \| .* \| ([0-9.]+) \|$`).FindSubmatch(bootstrap)
	if bill == nil || string(bill[2]) != fmt.Sprintf("%.2f", 0.40*float64(made+len(byHand))) {
		t.Errorf("%d secrets cost %q", made+len(byHand), bill)
	}
}

// Where one account reads another's images, both say so.
func TestPromotionHasTwoEnds(t *testing.T) {
	for _, from := range all(t) {
		for _, to := range all(t) {
			a, b := settingsOf(t, from), settingsOf(t, to)
			if slices.Contains(a.ImagesReadBy, b.Account) != slices.Contains(b.ImagesFrom, a.Account) {
				t.Errorf("%s says that %s reads its images: %t; %s says so: %t", from, to, slices.Contains(a.ImagesReadBy, b.Account), to, slices.Contains(b.ImagesFrom, a.Account))
			}
		}
	}
	for _, way := range [][2]string{{"dev", "qa"}, {"dev", "staging"}, {"staging", "production"}} {
		if !slices.Contains(settingsOf(t, way[1]).ImagesFrom, settingsOf(t, way[0]).Account) {
			t.Errorf("%s cannot read the images of %s, from where it is promoted", way[1], way[0])
		}
	}
}

// No environment's name is in the program: they differ by context alone.
func TestNoEnvironmentInTheCode(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, quoted := range regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).FindAllString(string(text), -1) {
			for _, env := range all(t) {
				if regexp.MustCompile(`\b` + env + `\b`).MatchString(quoted) {
					t.Errorf("%s has %s", path, quoted)
				}
			}
		}
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	good := object{"account": "555555555555", "region": "eu-west-1", "certificate": "arn:aws:acm:x",
		"controller": object{"image": "1a2b3c4", "host": "deploy.example", "oidc": object{"issuer": "https://login.example", "clientId": "deploy"}}}
	read := func(env string, change object) error {
		text, _ := json.Marshal(good)
		one := object{}
		_ = json.Unmarshal(text, &one)
		for k, v := range change {
			one[k] = v
		}
		_, err := readSettings(func(key string) any {
			return map[string]any{"env": env, "environments": object{"play": one}}[key]
		})
		return err
	}
	if err := read("play", nil); err != nil {
		t.Fatalf("what is right: %v", err)
	}
	for _, tt := range []struct {
		env    string
		change object
		want   string
	}{
		{"", nil, "write -c env=ENV, where ENV is one of play"},
		{"nowhere", nil, `environment "nowhere" is not among the context's environments: it has play`},
		{"play", object{"acount": "1"}, `environments.play: json: unknown field "acount"`},
		{"play", object{"account": "12"}, "account must be 12 digits"},
		{"play", object{"egress": "tunnel"}, "egress must be nat or endpoints"},
		{"play", object{"zones": []string{"a"}}, "at least two availability zones"},
		{"play", object{"source": "git@github.com:x/y"}, "source must be an https:// address"},
		{"play", object{"github": "deploy"}, "github must be owner/name"},
		{"play", object{"github": "canteen@123456/deploy@456789"}, "write ids as githubIds"},
		{"play", object{"githubIds": object{"owner": 123456}}, "githubIds must have owner and repository"},
		{"play", object{"githubIds": object{"owner": 123456, "repository": -1}}, "githubIds must have owner and repository"},
		{"play", object{"imagesReadBy": []string{"555555555555"}}, "must name other accounts"},
		{"play", object{"logDays": 31}, "logDays must be one of"},
		{"play", object{"controller": object{"image": "a b"}}, "controller.image must be a tag"},
		{"play", object{"controller": object{"otlp": "http://collector:4318"}}, "controller.otlp must be an https:// address"},
		{"play", object{"controller": object{"notify": object{"receivers": object{"ops": object{"slack": object{"token": object{"file": "/run/slack"}}}}}}},
			`controller.notify: receivers.ops.slack.token must be {"secretsManager": "arn:…"}`},
		{"play", object{"certificate": ""}, "certificate must be"},
	} {
		if err := read(tt.env, tt.change); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %v: %v, want %q", tt.env, tt.change, err, tt.want)
		}
	}
}
