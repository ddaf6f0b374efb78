package pipeline

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// infrastructure is a folder with a copy of the two scripts, beside an infra/ of a test's own.
func infrastructure(t *testing.T) *repository {
	t.Helper()
	tool(t, "jq")
	r := &repository{t: t, dir: t.TempDir()}
	r.write("infra/cdk.json", `{"context": {"environments": {
		"dev": {"account": "012345678901", "region": "eu-central-1", "controller": {"image": "1a2b3c4"}},
		"qa": {"account": "112345678901", "region": "eu-west-1", "imagesFrom": ["012345678901", "212345678901"], "controller": {"image": "0a2b3c4"}}}}}`)
	for _, script := range []string{"infra-environment", "infra-deploy"} {
		r.write("pipeline/"+script, read(t, script))
	}
	return r
}

func TestInfraEnvironment(t *testing.T) {
	script := filepath.Join(infrastructure(t).dir, "pipeline", "infra-environment")
	for env, want := range map[string]string{
		"dev": "account=012345678901\nregion=eu-central-1\nregistry=012345678901.dkr.ecr.eu-central-1.amazonaws.com\nimage=1a2b3c4\nsources=\n",
		"qa": "account=112345678901\nregion=eu-west-1\nregistry=112345678901.dkr.ecr.eu-west-1.amazonaws.com\nimage=0a2b3c4\n" +
			"sources=012345678901.dkr.ecr.eu-west-1.amazonaws.com 212345678901.dkr.ecr.eu-west-1.amazonaws.com\n",
	} {
		if out, err := call(t, ".", nil, script, env); err != nil || out != want {
			t.Errorf("%v\n%swant\n%s", err, out, want)
		}
	}
	if out, err := call(t, ".", nil, script, "nowhere"); err == nil || !strings.Contains(err.Error(), "infra/cdk.json has no environment nowhere") || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestInfraDeploy takes the place of the CDK's command line, which asks accounts, by a program that says how it was called.
func TestInfraDeploy(t *testing.T) {
	r := infrastructure(t)
	r.write("cdk", "#!/bin/sh\necho \"$(basename \"$PWD\"): $*\"\n")
	script := filepath.Join(r.dir, "pipeline", "infra-deploy")
	env := []string{"CDK=" + filepath.Join(r.dir, "cdk")}
	if out, err := call(t, ".", env, script, "dev"); err != nil || out != "infra: deploy --all --context env=dev --require-approval never --ci\n" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := call(t, ".", env, script, "prod"); err == nil || out != "" || !strings.Contains(err.Error(), "has no environment prod") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestControllersImageComesFirst: no stack is deployed before the image of its controller is in the registry that its task asks.
func TestControllersImageComesFirst(t *testing.T) {
	jobs := workflows(t)["infra-deploy"].Jobs
	for name, j := range jobs {
		of := func(command string) (step, int) {
			at := slices.IndexFunc(j.Steps, func(s step) bool { return strings.HasPrefix(s.Run, command+" ") })
			if at < 0 {
				t.Fatalf("%s: no step runs %s", name, command)
			}
			return j.Steps[at], at
		}
		_, environment := of("pipeline/infra-environment")
		login, second := of("pipeline/login")
		copying, third := of("pipeline/copy-controller")
		_, last := of("pipeline/infra-deploy")
		if environment > second || second > third || third > last || j.Steps[environment].ID != "environment" || copying.If != "" {
			t.Errorf("%s: the image is not copied before the stacks are deployed", name)
		}
		if login.Run != `pipeline/login "$REGION" "$REGISTRY" "$SOURCES"` || copying.Run != `pipeline/copy-controller "$IMAGE" "$REGISTRY" "$SOURCES"` {
			t.Errorf("%s: %s; %s", name, login.Run, copying.Run)
		}
		for variable, output := range map[string]string{"IMAGE": "image", "REGISTRY": "registry", "SOURCES": "sources"} {
			if want := "${{ steps.environment.outputs." + output + " }}"; copying.Env[variable] != want || login.Env[variable] != want && variable != "IMAGE" {
				t.Errorf("%s: %s is %q and %q, want %q", name, variable, copying.Env[variable], login.Env[variable], want)
			}
		}
	}
	if len(jobs) != 2 {
		t.Errorf("%d jobs deploy stacks, want 2", len(jobs))
	}
}
