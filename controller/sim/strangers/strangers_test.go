// Package strangers holds the local account against clients that others wrote: npm's AWS SDK for JavaScript and
// the aws command line. They speak protocols in their own ways, paginate, wait and read errors as they please.
package strangers

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
)

const patience = 90 * time.Second

// serve runs an account of fast modelled tasks and answers its address.
func serve(t *testing.T) string {
	t.Helper()
	a, err := sim.New(sim.Config{Seed: 1, Timing: ecs.FastTiming(), Unthrottled: true})
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	if l, err = sim.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

func command(t *testing.T, dir, endpoint, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if err != nil && errs.Len() > 0 {
		return errs.String(), err
	}
	return out.String(), err
}

func TestJavaScriptSDK(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on this machine", tool)
		}
	}
	dir := t.TempDir()
	for _, f := range []string{"package.json", "package-lock.json", "deploy.mjs"} {
		b, err := os.ReadFile(filepath.Join("testdata", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := command(t, dir, "", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"); err != nil {
		t.Skipf("npm cannot install the SDK here (no registry?): %v\n%s", err, out)
	}
	if out, err := command(t, dir, serve(t), "node", "deploy.mjs"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCommandLine(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the aws command is not on this machine (apt-get install awscli, or pip install awscli)")
	}
	dir, endpoint := t.TempDir(), serve(t)
	aws := func(args string, more ...string) map[string]any {
		t.Helper()
		all := append(strings.Fields(args), more...)
		out, err := command(t, dir, endpoint, "aws", append(all, "--output", "json", "--endpoint-url", endpoint)...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(all, " "), err, out)
		}
		var v map[string]any
		if out != "" {
			if err := json.Unmarshal([]byte(out), &v); err != nil {
				t.Fatalf("aws %s answered %s", args, out)
			}
		}
		return v
	}
	aws("ecs create-cluster --cluster-name c")
	aws("ecs register-task-definition --family f --network-mode awsvpc --requires-compatibilities FARGATE --cpu 256 --memory 512 --container-definitions",
		`[{"name":"app","image":"public.ecr.aws/docker/library/busybox:1","essential":true,"portMappings":[{"containerPort":8080}]}]`)
	group := aws("elbv2 create-target-group --name g --port 8080 --protocol HTTP --target-type ip --vpc-id vpc-00000000")["TargetGroups"].([]any)[0].(map[string]any)["TargetGroupArn"].(string)
	lb := aws("elbv2 create-load-balancer --name front --subnets subnet-0a subnet-0b")["LoadBalancers"].([]any)[0].(map[string]any)["LoadBalancerArn"].(string)
	aws("elbv2 create-listener --port 80 --protocol HTTP --load-balancer-arn " + lb + " --default-actions Type=forward,TargetGroupArn=" + group)
	aws("ecs create-service --cluster c --service-name s --task-definition f --desired-count 1 --launch-type FARGATE --network-configuration",
		"awsvpcConfiguration={subnets=[subnet-0a],securityGroups=[sg-0a]}", "--load-balancers", "targetGroupArn="+group+",containerName=app,containerPort=8080")
	aws("ecs wait services-stable --cluster c --services s")
	aws("elbv2 wait target-in-service --target-group-arn " + group)
	tasks := aws("ecs list-tasks --cluster c --page-size 1")["taskArns"].([]any)
	if len(tasks) != 1 {
		t.Errorf("tasks %v", tasks)
	}
	// CloudWatch in JSON 1.0, which is botocore's choice.
	aws("cloudwatch put-metric-alarm --alarm-name a --metric-name m --namespace n --statistic Sum --period 60 --evaluation-periods 1 --threshold 1 --comparison-operator GreaterThanThreshold")
	aws("cloudwatch set-alarm-state --alarm-name a --state-value ALARM --state-reason test")
	if got := aws("cloudwatch describe-alarms --alarm-names a")["MetricAlarms"].([]any)[0].(map[string]any)["StateValue"]; got != "ALARM" {
		t.Errorf("alarm %v", got)
	}
	// Command lines before 2.13, Debian's among them, ask SQS in its old query protocol, which the account refuses by name.
	if out, err := command(t, dir, endpoint, "aws", "--endpoint-url", endpoint, "sqs", "list-queues"); err != nil && strings.Contains(out, "service sqs is not modelled") {
		t.Logf("this aws command is too old for queues: %s", out)
	} else {
		url := aws("sqs create-queue --queue-name q")["QueueUrl"].(string)
		aws("sqs send-message --message-body hello --queue-url " + url)
		if got := aws("sqs receive-message --queue-url " + url)["Messages"].([]any)[0].(map[string]any)["Body"]; got != "hello" {
			t.Errorf("received %v", got)
		}
	}
	aws("secretsmanager create-secret --name x --secret-string y")
	aws("ecr create-repository --repository-name orders")
	aws("events put-rule --name r --event-pattern", `{"source":["aws.ecs"]}`)
	if out, err := command(t, dir, endpoint, "aws", "--endpoint-url", endpoint, "ecs", "update-service", "--cluster", "c", "--service", "none"); err == nil || !strings.Contains(out, "ServiceNotFoundException") {
		t.Errorf("an absent service: %v %s", err, out)
	}
}
