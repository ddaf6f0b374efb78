package strangers

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pythons answers the interpreters of this machine that have the aws command: the first on the path, and that of the
// distribution, whose command may be years older.
func pythons(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err != nil || slices.Contains(found, path) {
			continue
		}
		if _, err := command(t, t.TempDir(), "", path, "-c", "import awscli.clidriver"); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("no aws command on this machine (apt-get install awscli, or pip install awscli)")
	}
	return found
}

// cli calls one aws command on one account. A process of its own for each call would take a second of a processor.
type cli struct {
	t        *testing.T
	dir      string
	endpoint string
	in       io.Writer
	out      *bufio.Scanner
}

func openCLI(t *testing.T, python string) cli {
	t.Helper()
	driver, err := filepath.Abs("testdata/driver.py")
	if err != nil {
		t.Fatal(err)
	}
	c := cli{t: t, dir: t.TempDir(), endpoint: serve(t)}
	p := exec.CommandContext(t.Context(), python, driver)
	p.Dir, p.Env, p.Stderr = c.dir, environment(c.endpoint), t.Output()
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(patience, func() { _ = p.Process.Kill() }) // its end is seen below
	t.Cleanup(func() {
		stop.Stop()
		_ = in.Close() // ends the driver
		if err := p.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("driver: %v", err)
		}
	})
	c.in, c.out = in, bufio.NewScanner(out)
	c.out.Buffer(nil, 1<<20)
	return c
}

func (c cli) run(args string, more ...string) (string, error) {
	c.t.Helper()
	all := append(append(strings.Fields(args), more...), "--output", "json", "--endpoint-url", c.endpoint)
	if err := json.NewEncoder(c.in).Encode(all); err != nil {
		c.t.Fatalf("aws %s: %v", args, err)
	}
	if !c.out.Scan() {
		c.t.Fatalf("aws %s: no answer within %s: %v", args, patience, c.out.Err())
	}
	var answer struct {
		Code        int
		Out, Errors string
	}
	if err := json.Unmarshal(c.out.Bytes(), &answer); err != nil {
		c.t.Fatalf("aws %s: %v", args, err)
	}
	if answer.Code != 0 {
		return answer.Errors, fmt.Errorf("exit status %d", answer.Code)
	}
	return answer.Out, nil
}

// answer is a command's JSON; any failure ends the test.
func (c cli) answer(args string, more ...string) map[string]any {
	c.t.Helper()
	out, err := c.run(args, more...)
	if err != nil {
		c.t.Fatalf("aws %s %s: %v\n%s", args, strings.Join(more, " "), err, out)
	}
	var v map[string]any
	if out != "" {
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			c.t.Fatalf("aws %s answered %s", args, out)
		}
	}
	return v
}

// text finds a value by its path in a command's JSON: names, and numbers of list entries.
func (c cli) text(v any, path ...any) string {
	c.t.Helper()
	for i, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				c.t.Fatalf("%v: no entry %d in %v", path[:i], s, v)
			}
			v = l[s]
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (c cli) refused(code, args string, more ...string) {
	c.t.Helper()
	if out, err := c.run(args, more...); err == nil || !strings.Contains(out, "("+code+")") {
		c.t.Errorf("aws %s: %v %s, want %s", args, err, out, code)
	}
}

func (c cli) want(what, want, got string) {
	c.t.Helper()
	if want != got {
		c.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestCommandLine(t *testing.T) {
	for _, python := range pythons(t) {
		t.Run(strings.ReplaceAll(strings.TrimPrefix(python, "/"), "/", "_"), func(t *testing.T) {
			version, err := command(t, t.TempDir(), "", python, "-m", "awscli", "--version")
			if err != nil {
				t.Fatalf("%v\n%s", err, version)
			}
			t.Logf("%s", version)
			for name, try := range map[string]func(cli){
				"deployment": deployment, "queues": queues, "dead letters": deadLetters, "alarms": alarms, "rules": rules, "secrets": secrets,
				"parameters": parameters, "repositories": repositories, "logs": logGroups,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					try(openCLI(t, python))
				})
			}
		})
	}
}

func deployment(c cli) {
	c.answer("ecs create-cluster --cluster-name c")
	c.answer("ecs register-task-definition --family f --network-mode awsvpc --requires-compatibilities FARGATE --cpu 256 --memory 512 --container-definitions",
		`[{"name":"app","image":"public.ecr.aws/docker/library/busybox:1","essential":true,"portMappings":[{"containerPort":8080}]}]`)
	group := c.text(c.answer("elbv2 create-target-group --name g --port 8080 --protocol HTTP --target-type ip --vpc-id vpc-00000000"), "TargetGroups", 0, "TargetGroupArn")
	lb := c.text(c.answer("elbv2 create-load-balancer --name front --subnets subnet-0a subnet-0b"), "LoadBalancers", 0, "LoadBalancerArn")
	c.answer("elbv2 modify-target-group-attributes --target-group-arn " + group + " --attributes Key=deregistration_delay.timeout_seconds,Value=0")
	c.answer("elbv2 wait load-balancer-available --load-balancer-arns " + lb)
	listener := c.text(c.answer("elbv2 create-listener --port 80 --protocol HTTP --load-balancer-arn "+lb+" --default-actions Type=forward,TargetGroupArn="+group), "Listeners", 0, "ListenerArn")
	c.answer("elbv2 create-rule --priority 5 --listener-arn "+listener+" --conditions Field=path-pattern,Values=/api/* --actions", "Type=forward,TargetGroupArn="+group)
	c.answer("ecs create-service --cluster c --service-name s --task-definition f --desired-count 3 --launch-type FARGATE --network-configuration",
		"awsvpcConfiguration={subnets=[subnet-0a],securityGroups=[sg-0a]}", "--load-balancers", "targetGroupArn="+group+",containerName=app,containerPort=8080")
	c.answer("ecs wait services-stable --cluster c --services s")
	c.answer("elbv2 wait target-in-service --target-group-arn " + group)
	if tasks := c.answer("ecs list-tasks --cluster c --page-size 1")["taskArns"].([]any); len(tasks) != 3 {
		c.t.Errorf("tasks %v", tasks)
	}
	c.refused("ServiceNotFoundException", "ecs update-service --cluster c --service none")

	run := c.text(c.answer("ecs run-task --cluster c --task-definition f --launch-type FARGATE --network-configuration",
		"awsvpcConfiguration={subnets=[subnet-0a],securityGroups=[sg-0a]}"), "tasks", 0, "taskArn")
	c.answer("ecs wait tasks-running --cluster c --tasks " + run)
	c.answer("ecs stop-task --cluster c --reason test --task " + run)
	c.answer("ecs wait tasks-stopped --cluster c --tasks " + run)
	c.answer("ecs update-service --cluster c --service s --desired-count 0")
	c.answer("ecs wait services-stable --cluster c --services s")
	c.answer("ecs delete-service --cluster c --service s")
	c.answer("ecs wait services-inactive --cluster c --services s")
	c.answer("ecs delete-cluster --cluster c")
}

func queues(c cli) {
	url := c.text(c.answer("sqs create-queue --queue-name q --attributes VisibilityTimeout=60,DelaySeconds=0 --tags team=orders,cost=1"), "QueueUrl")
	c.want("the same again", url, c.text(c.answer("sqs get-queue-url --queue-name q"), "QueueUrl"))
	for _, name := range []string{"q2", "q3", "q4"} {
		c.answer("sqs create-queue --queue-name " + name)
	}
	if urls := c.answer("sqs list-queues --queue-name-prefix q --page-size 2")["QueueUrls"].([]any); len(urls) != 4 {
		c.t.Errorf("queues %v", urls)
	}

	sent := c.answer("sqs send-message --message-body hello&<world> --queue-url "+url, "--message-attributes",
		`{"trace":{"DataType":"String","StringValue":"a b"},"raw":{"DataType":"Binary","BinaryValue":"aGVsbG8="}}`)
	got := c.answer("sqs receive-message --attribute-names All --message-attribute-names trace --max-number-of-messages 10 --queue-url " + url)
	c.want("body", "hello&<world>", c.text(got, "Messages", 0, "Body"))
	c.want("digest", c.text(sent, "MD5OfMessageBody"), c.text(got, "Messages", 0, "MD5OfBody"))
	c.want("receives", "1", c.text(got, "Messages", 0, "Attributes", "ApproximateReceiveCount"))
	c.want("attribute", "a b", c.text(got, "Messages", 0, "MessageAttributes", "trace", "StringValue"))
	c.want("attribute that was not asked for", "", c.text(got, "Messages", 0, "MessageAttributes", "raw"))
	handle := c.text(got, "Messages", 0, "ReceiptHandle")
	c.answer("sqs change-message-visibility --visibility-timeout 0 --queue-url "+url, "--receipt-handle", handle)
	again := c.answer("sqs receive-message --queue-url " + url)
	c.answer("sqs delete-message --queue-url "+url, "--receipt-handle", c.text(again, "Messages", 0, "ReceiptHandle"))
	if got := c.answer("sqs receive-message --queue-url " + url); len(got) != 0 {
		c.t.Errorf("after its deletion: %v", got)
	}
	c.refused("ReceiptHandleIsInvalid", "sqs delete-message --receipt-handle x --queue-url "+url)
	batches(c, url)

	c.answer("sqs set-queue-attributes --attributes VisibilityTimeout=5,ReceiveMessageWaitTimeSeconds=1 --queue-url " + url)
	attributes := c.answer("sqs get-queue-attributes --attribute-names VisibilityTimeout QueueArn --queue-url " + url)
	c.want("attribute", "5", c.text(attributes, "Attributes", "VisibilityTimeout"))
	c.want("ARN", "arn:aws:sqs:eu-central-1:000000000000:q", c.text(attributes, "Attributes", "QueueArn"))
	c.refused("InvalidAttributeName", "sqs set-queue-attributes --attributes Colour=red --queue-url "+url)
	c.answer("sqs tag-queue --tags cost=2,more=x --queue-url " + url)
	c.answer("sqs untag-queue --tag-keys team more --queue-url " + url)
	c.want("tags", "map[cost:2]", c.text(c.answer("sqs list-queue-tags --queue-url "+url), "Tags"))

	c.answer("sqs purge-queue --queue-url " + url)
	c.refused("AWS.SimpleQueueService.PurgeQueueInProgress", "sqs purge-queue --queue-url "+url)
	c.answer("sqs delete-queue --queue-url " + url)
	c.refused("AWS.SimpleQueueService.NonExistentQueue", "sqs send-message --message-body x --queue-url "+url)
	c.refused("AWS.SimpleQueueService.QueueDeletedRecently", "sqs create-queue --queue-name q")
	c.refused("QueueAlreadyExists", "sqs create-queue --queue-name q2 --attributes DelaySeconds=9")
}

func batches(c cli, url string) {
	sent := c.answer("sqs send-message-batch --queue-url "+url, "--entries",
		`[{"Id":"a","MessageBody":"1","MessageAttributes":{"k":{"DataType":"Number","StringValue":"7"}}},{"Id":"b","MessageBody":"2","DelaySeconds":901}]`)
	c.want("one was sent", "a", c.text(sent, "Successful", 0, "Id"))
	c.want("one was not", "InvalidParameterValue true", c.text(sent, "Failed", 0, "Code")+" "+c.text(sent, "Failed", 0, "SenderFault"))
	handle := c.text(c.answer("sqs receive-message --queue-url "+url), "Messages", 0, "ReceiptHandle")
	c.answer("sqs change-message-visibility-batch --queue-url "+url, "--entries", fmt.Sprintf(`[{"Id":"a","ReceiptHandle":%q,"VisibilityTimeout":30}]`, handle))
	deleted := c.answer("sqs delete-message-batch --queue-url "+url, "--entries", fmt.Sprintf(`[{"Id":"a","ReceiptHandle":%q},{"Id":"b","ReceiptHandle":"x"}]`, handle))
	c.want("one was deleted", "a", c.text(deleted, "Successful", 0, "Id"))
	c.want("one was not", "ReceiptHandleIsInvalid", c.text(deleted, "Failed", 0, "Code"))
	c.refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "sqs send-message-batch --queue-url "+url, "--entries", `[{"Id":"a","MessageBody":"1"},{"Id":"a","MessageBody":"2"}]`)
}

func deadLetters(c cli) {
	dead := c.text(c.answer("sqs create-queue --queue-name dead.fifo --attributes FifoQueue=true,ContentBasedDeduplication=true"), "QueueUrl")
	url := c.text(c.answer("sqs create-queue --queue-name q.fifo --attributes",
		`{"FifoQueue":"true","RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-central-1:000000000000:dead.fifo\",\"maxReceiveCount\":1}"}`), "QueueUrl")
	c.want("source", url, c.text(c.answer("sqs list-dead-letter-source-queues --queue-url "+dead), "queueUrls", 0))
	sent := c.answer("sqs send-message --message-body poison --message-group-id g --message-deduplication-id 1 --queue-url " + url)
	c.answer("sqs receive-message --visibility-timeout 1 --queue-url " + url)
	if got := c.answer("sqs receive-message --wait-time-seconds 2 --queue-url " + url); len(got) != 0 {
		c.t.Errorf("received twice: %v", got)
	}
	got := c.answer("sqs receive-message --attribute-names All --queue-url " + dead)
	c.want("the dead letter", c.text(sent, "MessageId"), c.text(got, "Messages", 0, "MessageId"))
	c.want("where it came from", "arn:aws:sqs:eu-central-1:000000000000:q.fifo", c.text(got, "Messages", 0, "Attributes", "DeadLetterQueueSourceArn"))
	c.want("its group", "g", c.text(got, "Messages", 0, "Attributes", "MessageGroupId"))
	c.refused("MissingParameter", "sqs send-message --message-body x --queue-url "+url)
}

// CloudWatch is asked in JSON by new command lines and in query by old ones.
func alarms(c cli) {
	for _, name := range []string{"a1", "a2", "a3"} {
		c.answer("cloudwatch put-metric-alarm --metric-name m --namespace n --statistic Sum --period 60 --evaluation-periods 1 --threshold 1 --comparison-operator GreaterThanThreshold --alarm-name " + name)
	}
	c.answer("cloudwatch set-alarm-state --alarm-name a2 --state-value ALARM --state-reason test")
	c.answer("cloudwatch wait alarm-exists --alarm-names a2")
	c.want("state", "ALARM", c.text(c.answer("cloudwatch describe-alarms --alarm-names a2"), "MetricAlarms", 0, "StateValue"))
	if all := c.answer("cloudwatch describe-alarms --page-size 1")["MetricAlarms"].([]any); len(all) != 3 {
		c.t.Errorf("alarms %v", all)
	}
	c.answer("cloudwatch put-composite-alarm --alarm-name both --alarm-rule", `ALARM("a1") OR ALARM("a2")`)
	c.answer("cloudwatch wait composite-alarm-exists --alarm-names both --alarm-types CompositeAlarm")
	c.answer("cloudwatch put-metric-data --namespace n --metric-data MetricName=m,Value=5,Unit=Count")
	c.answer("cloudwatch delete-alarms --alarm-names both")
	c.refused("ResourceNotFound", "cloudwatch set-alarm-state --alarm-name none --state-value OK --state-reason x")
}

func rules(c cli) {
	url := c.text(c.answer("sqs create-queue --queue-name hints"), "QueueUrl")
	queue := c.text(c.answer("sqs get-queue-attributes --attribute-names QueueArn --queue-url "+url), "Attributes", "QueueArn")
	for _, name := range []string{"r1", "r2", "r3"} {
		c.answer("events put-rule --name "+name+" --event-pattern", `{"source":["aws.ecs"]}`)
	}
	put := c.answer("events put-targets --rule r1 --targets Id=1,Arn=" + queue)
	c.want("targets that failed", "0", c.text(put, "FailedEntryCount"))
	c.want("target", queue, c.text(c.answer("events list-targets-by-rule --rule r1"), "Targets", 0, "Arn"))
	if all := c.answer("events list-rules --page-size 2")["Rules"].([]any); len(all) != 3 {
		c.t.Errorf("rules %v", all)
	}
	c.refused("ResourceNotFoundException", "events describe-rule --name none")
	c.refused("InvalidEventPatternException", "events put-rule --name bad --event-pattern", `{"source":"aws.ecs"}`)
	c.answer("events remove-targets --rule r1 --ids 1")
	c.answer("events delete-rule --name r1")
}

func secrets(c cli) {
	for _, name := range []string{"x", "y", "z"} {
		c.answer("secretsmanager create-secret --secret-string v1 --name " + name)
	}
	c.answer("secretsmanager put-secret-value --secret-id x --secret-string v2")
	c.want("current", "v2", c.text(c.answer("secretsmanager get-secret-value --secret-id x"), "SecretString"))
	c.want("previous", "v1", c.text(c.answer("secretsmanager get-secret-value --secret-id x --version-stage AWSPREVIOUS"), "SecretString"))
	if all := c.answer("secretsmanager list-secrets --page-size 1")["SecretList"].([]any); len(all) != 3 {
		c.t.Errorf("secrets %v", all)
	}
	c.answer("secretsmanager delete-secret --secret-id x")
	c.refused("InvalidRequestException", "secretsmanager get-secret-value --secret-id x")
	c.answer("secretsmanager restore-secret --secret-id x")
	c.refused("ResourceNotFoundException", "secretsmanager get-secret-value --secret-id none")
}

func parameters(c cli) {
	for _, name := range []string{"/orders/a", "/orders/b", "/orders/c"} {
		c.answer("ssm put-parameter --type String --value 1 --name " + name)
	}
	c.refused("ParameterAlreadyExists", "ssm put-parameter --type String --value 2 --name /orders/a")
	c.answer("ssm put-parameter --overwrite --type String --value 2 --name /orders/a")
	c.want("version", "2", c.text(c.answer("ssm get-parameter --name /orders/a"), "Parameter", "Version"))
	if all := c.answer("ssm get-parameters-by-path --path /orders --page-size 1")["Parameters"].([]any); len(all) != 3 {
		c.t.Errorf("parameters %v", all)
	}
	c.refused("ParameterNotFound", "ssm get-parameter --name /none")
}

func repositories(c cli) {
	c.answer("ecr create-repository --repository-name orders --image-tag-mutability IMMUTABLE")
	c.refused("RepositoryAlreadyExistsException", "ecr create-repository --repository-name orders")
	manifest := filepath.Join(c.dir, "manifest.json")
	for i := range 3 {
		text := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","annotations":{"n":"%d"}}`, i)
		if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
		c.answer(fmt.Sprintf("ecr put-image --repository-name orders --image-tag v%d --image-manifest file://%s", i, manifest))
	}
	c.refused("ImageTagAlreadyExistsException", "ecr put-image --repository-name orders --image-tag v0 --image-manifest file://"+manifest)
	if all := c.answer("ecr list-images --repository-name orders --page-size 1")["imageIds"].([]any); len(all) != 3 {
		c.t.Errorf("images %v", all)
	}
	c.want("tag", "v1", c.text(c.answer("ecr describe-images --repository-name orders --image-ids imageTag=v1"), "imageDetails", 0, "imageTags", 0))
	c.refused("RepositoryNotFoundException", "ecr describe-images --repository-name none")
	config := []byte(`{"config":{"Labels":{"org.opencontainers.image.revision":"1a2b3c4"}}}`)
	if err := os.WriteFile(filepath.Join(c.dir, "config.json"), config, 0o600); err != nil {
		c.t.Fatal(err)
	}
	layer := fmt.Sprintf("sha256:%x", sha256.Sum256(config))
	c.refused("LayersNotFoundException", "ecr get-download-url-for-layer --repository-name orders --layer-digest "+layer)
	upload := c.text(c.answer("ecr initiate-layer-upload --repository-name orders"), "uploadId")
	c.answer(fmt.Sprintf("ecr upload-layer-part --repository-name orders --upload-id %s --part-first-byte 0 --part-last-byte %d --layer-part-blob fileb://%s", upload, len(config)-1, filepath.Join(c.dir, "config.json")))
	c.want("digest", layer, c.text(c.answer("ecr complete-layer-upload --repository-name orders --upload-id "+upload+" --layer-digests "+layer), "layerDigest"))
	c.refused("LayerInaccessibleException", "ecr get-download-url-for-layer --repository-name orders --layer-digest "+layer)
	if err := os.WriteFile(manifest, fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q}}`, layer), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.answer("ecr put-image --repository-name orders --image-tag v3 --image-manifest file://" + manifest)
	resp, err := http.Get(c.text(c.answer("ecr get-download-url-for-layer --repository-name orders --layer-digest "+layer), "downloadUrl"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != string(config) {
		c.t.Errorf("the layer is %s, %v", got, err)
	}
	batch := c.answer("ecr batch-get-image --repository-name orders --image-ids imageTag=v3 imageTag=none")
	c.want("failure", "ImageNotFound", c.text(batch, "failures", 0, "failureCode"))
}

func logGroups(c cli) {
	c.answer("logs create-log-group --log-group-name /orders")
	c.refused("ResourceAlreadyExistsException", "logs create-log-group --log-group-name /orders")
	c.answer("logs put-retention-policy --log-group-name /orders --retention-in-days 7")
	c.want("retention", "7", c.text(c.answer("logs describe-log-groups --log-group-name-prefix /o"), "logGroups", 0, "retentionInDays"))
	if found := c.answer("logs filter-log-events --log-group-name /orders --filter-pattern", "?ERROR ?FATAL"); c.text(found, "events") != "[]" {
		c.t.Errorf("an empty group has %v", found)
	}
	c.refused("ResourceNotFoundException", "logs filter-log-events --log-group-name /none")
}
