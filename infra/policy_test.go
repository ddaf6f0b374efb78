package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Where the resource is *, the reason is in the role's metadata; a document that this program did not write is known here.
func TestEverythingHasAReason(t *testing.T) {
	// Resource policies say who may use the one resource that they are on.
	known := func(path string) bool {
		return strings.Contains(path, ".AssumeRolePolicyDocument") || strings.Contains(path, ".RepositoryPolicyText")
	}
	for _, env := range all(t) {
		for _, template := range []object{templates(t, env).base, templates(t, env).main} {
			for path, document := range policies(template) {
				id, _, _ := strings.Cut(path, ".")
				meta, _ := template["Resources"].(object)[id].(object)["Metadata"].(object)
				reasons, _ := meta["WhyEverything"].(object)
				for _, st := range list(document["Statement"]) {
					st := st.(object)
					if st["Resource"] == nil && known(path) || st["Effect"] == "Deny" {
						continue
					}
					sid, _ := st["Sid"].(string)
					if slices.Contains(list(st["Resource"]), any("*")) && reasons[sid] == nil {
						t.Errorf("%s %s: statement %q is about every resource and says no reason: %v", env, path, sid, st["Action"])
					}
					for _, action := range list(st["Action"]) {
						if strings.Contains(action.(string), "*") {
							t.Errorf("%s %s: statement %q allows %v", env, path, sid, action)
						}
					}
				}
			}
		}
	}
}

// allowed are the actions that a role may do, with the statements that have them.
func allowed(t *testing.T, template object, role string) map[string][]object {
	t.Helper()
	return actions(t, template, role, "Allow")
}

// actions are those of a role's statements of an effect.
func actions(t *testing.T, template object, role, effect string) map[string][]object {
	t.Helper()
	p := properties(t, template, "AWS::IAM::Role", "RoleName", role)
	found := map[string][]object{}
	for _, one := range p["Policies"].([]any) {
		for _, st := range list(one.(object)["PolicyDocument"].(object)["Statement"]) {
			if st.(object)["Effect"] != effect {
				continue
			}
			for _, action := range list(st.(object)["Action"]) {
				found[action.(string)] = append(found[action.(string)], st.(object))
			}
		}
	}
	return found
}

// Secrets are read by roles that start tasks, and each reads those alone that its task definition names. The owner's is read by the
// role of migrations, which no task definition has.
func TestSecretsAreReadByExecutionRoles(t *testing.T) {
	main := templates(t, "dev").main
	want := map[string]int{"order-processing-dev-execution": 2, "order-processing-dev-migration": 1, "order-processing-dev-controller-execution": 1, "order-processing-dev-bootstrap": 4}
	for _, r := range resources(main, "AWS::IAM::Role") {
		name := r["Properties"].(object)["RoleName"].(string)
		secrets := 0
		for _, st := range allowed(t, main, name)["secretsmanager:GetSecretValue"] {
			secrets += len(list(st["Resource"]))
			if slices.ContainsFunc(list(st["Resource"]), func(v any) bool { return has(v, "*") }) {
				t.Errorf("%s reads secrets that nobody named: %v", name, st["Resource"])
			}
		}
		if secrets != want[name] {
			t.Errorf("%s reads %d secrets, want %d", name, secrets, want[name])
		}
	}
}

// Who may ask for a parameter gets none in the clear, though the key that AWS manages would let it; a plan no secret either.
func TestWhoLooksNeverDecrypts(t *testing.T) {
	for _, env := range all(t) {
		s, made := settingsOf(t, env), templates(t, env)
		for _, r := range []struct {
			template object
			role     string
			services []string
		}{{made.base, planRole, []string{"ssm", "secretsmanager"}}, {made.main, s.named("controller"), []string{"ssm"}}} {
			var via []any
			for _, name := range r.services {
				via = append(via, name+"."+s.Region+".amazonaws.com")
			}
			want := object{"Sid": "NeverDecrypt", "Effect": "Deny", "Action": []any{"kms:Decrypt"}, "Resource": []any{"*"}, "Condition": object{"StringEquals": object{"kms:ViaService": via}}}
			if got := actions(t, r.template, r.role, "Deny")["kms:Decrypt"]; len(got) != 1 || !bytes.Equal(write(t, got[0]), write(t, want)) {
				t.Errorf("%s: %s decrypts: %v", env, r.role, got)
			}
		}
	}
}

// PassRole is for the roles of the service's tasks and of its migrations, and for ECS's tasks alone.
func TestPassRole(t *testing.T) {
	for _, env := range all(t) {
		s := settingsOf(t, env)
		for _, template := range []object{templates(t, env).base, templates(t, env).main} {
			for path, document := range policies(template) {
				for _, st := range list(document["Statement"]) {
					st := st.(object)
					if !has(st["Action"], "iam:") {
						continue
					}
					want := []any{s.role("execution"), s.role("task"), s.role("migration")}
					if !strings.HasPrefix(path, "ControllerRole.") || !slices.Equal(list(st["Action"]), []any{"iam:PassRole"}) || !slices.Equal(list(st["Resource"]), want) ||
						!has(st["Condition"], `"iam:PassedToService":"ecs-tasks.amazonaws.com"`) {
						t.Errorf("%s: %v", path, st)
					}
				}
			}
		}
	}
}

// The pipeline pushes images and hands over stacks; it never touches ECS, and only runs of its environment may take its role.
func TestPipelineNeverDeploys(t *testing.T) {
	for _, env := range all(t) {
		base := templates(t, env).base
		for action := range allowed(t, base, deployRole) {
			if strings.HasPrefix(action, "ecs:") || strings.HasPrefix(action, "iam:") || strings.HasPrefix(action, "ssm:") {
				t.Errorf("%s: the pipeline may %s", env, action)
			}
		}
		trust := properties(t, base, "AWS::IAM::Role", "RoleName", deployRole)["AssumeRolePolicyDocument"]
		if !has(trust, `"repo:canteen/deploy:environment:`+env+`"`) || has(trust, "*") {
			t.Errorf("%s: the pipeline's role may be taken by %s", env, write(t, trust))
		}
		// A plan looks.
		for action := range allowed(t, base, planRole) {
			_, operation, _ := strings.Cut(action, ":")
			if !slices.ContainsFunc([]string{"Describe", "List", "Get", "Filter"}, func(p string) bool { return strings.HasPrefix(operation, p) }) || operation == "GetSecretValue" || strings.HasPrefix(action, "logs:") {
				t.Errorf("%s: a plan may %s", env, action)
			}
		}
	}
}

// A repository whose tokens have ids in their subject is trusted by that subject alone: its name may be another's one day.
// https://docs.github.com/en/actions/reference/security/oidc
func TestWorkflowsAreTrustedByTheirIds(t *testing.T) {
	s := settingsOf(t, "dev")
	s.GitHubIDs = GitHubIDs{Owner: 123456, Repository: 456789}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	base := synth(t, s).base
	for role, claim := range map[string]string{deployRole: "environment:dev", planRole: "pull_request"} {
		trust := properties(t, base, "AWS::IAM::Role", "RoleName", role)["AssumeRolePolicyDocument"].(object)
		when := list(trust["Statement"])[0].(object)["Condition"].(object)["StringEquals"].(object)
		if got, want := when["token.actions.githubusercontent.com:sub"], "repo:canteen@123456/deploy@456789:"+claim; got != want {
			t.Errorf("%s is taken by %v, want %s and no other", role, got, want)
		}
	}
}

// The tests of the controller hold it to this policy: it is what is synthesized.
func TestControllerPolicy(t *testing.T) {
	const path = "../controller/permit/policy.json"
	p := properties(t, templates(t, "dev").main, "AWS::IAM::Role", "RoleName", "order-processing-dev-controller")
	if n := len(p["Policies"].([]any)); n != 1 || p["ManagedPolicyArns"] != nil {
		t.Fatalf("the controller's role has %d policies and %v; the tests know of one", n, p["ManagedPolicyArns"])
	}
	text := write(t, p["Policies"].([]any)[0].(object)["PolicyDocument"])
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(text, want) {
		t.Errorf("%s is not the policy of the controller's role (%v); write it anew: go test . -run TestControllerPolicy -update", path, err)
	}
}

// The service's role allows each call that the worker's queue room makes, on the queue that it makes it of: the dead letters are
// found, and given what nobody can handle, by the worker itself.
func TestTaskRoleAllowsWhatTheWorkerCalls(t *testing.T) {
	sources, err := filepath.Glob("../worker/queue/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("the worker's calls are not where they were: %v", err)
	}
	calls := map[string]bool{}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range regexp.MustCompile(`client\.([A-Z]\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			calls["sqs:"+strings.TrimSuffix(call[1], "Batch")] = true // batches are authorized as what is in them
		}
	}
	if len(calls) < 6 {
		t.Fatalf("only %v were found: the test shows nothing", calls)
	}
	for _, env := range all(t) {
		s, main := settingsOf(t, env), templates(t, env).main
		may := allowed(t, main, s.named("task"))
		on := func(action, queue string) bool {
			return slices.ContainsFunc(may[action], func(st object) bool { return has(st["Resource"], `"`+queue) })
		}
		for call := range calls {
			if !on(call, "Orders") && !on(call, "DeadLetters") {
				t.Errorf("%s: the worker calls %s, which its role does not allow", env, call)
			}
		}
		for _, call := range []string{"sqs:GetQueueUrl", "sqs:SendMessage"} {
			if !calls[call] || !on(call, "DeadLetters") {
				t.Errorf("%s: %s on the dead letters is not called (%t) or not allowed", env, call, calls[call])
			}
		}
	}
}
