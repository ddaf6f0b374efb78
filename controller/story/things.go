package story

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/canteen/deploy/controller/sim"
)

// What is taken away from a service, and what comes back: images, secrets, logs, alarms, the service itself, a ledger's time.

func thingVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		`(?:(\w+) )?image (\w+) is gone from the registry`: func(t *Telling, a []string) error { return t.Expire(or(a[0]), a[1]) },
		`(?:(\w+) )?image (\w+) is in the registry again`:  func(t *Telling, a []string) error { return t.PushAgain(or(a[0]), a[1]) },
		`(?:(\w+) )?image (\w+) writes: (.+)`:              func(t *Telling, a []string) error { return t.Write(or(a[0]), a[1], a[2]) },
		`the secret of (\w+) (is deleted|is restored|is made anew)`: func(t *Telling, a []string) error {
			return t.Secret(a[0]+"/db", a[1])
		},
		`the log group of (\w+) is (gone|there again)`: func(t *Telling, a []string) error { return t.LogGroup("/ecs/"+a[0], a[1] == "gone") },
		`log lines come (\S+) late`: func(t *Telling, a []string) error {
			d, err := time.ParseDuration(a[0])
			t.account.Logs.SetDelay(d)
			return err
		},
		`alarm (\S+) has too little data`: func(t *Telling, a []string) error { return t.setAlarm(a[0], cwtypes.StateValueInsufficientData) },
		`alarm (\S+) is (deleted|there again)`: func(t *Telling, a []string) error {
			return t.AlarmThere(a[0], a[1] != "deleted")
		},
		`by hand (?:(\w+) )?deregister what runs`:        func(t *Telling, a []string) error { return t.DeregisterByHand(or(a[0])) },
		`by hand (?:(\w+) )?delete the service`:          func(t *Telling, a []string) error { return t.DeleteByHand(or(a[0])) },
		`by hand (?:(\w+) )?create the service anew`:     func(t *Telling, a []string) error { return t.CreateByHand(or(a[0])) },
		`by hand (?:(\w+) )?remove the tag (\S+)`:        func(t *Telling, a []string) error { return t.UntagByHand(or(a[0]), a[1]) },
		`the autoscaler scales (?:(\w+) )?to (\d+)`:      func(t *Telling, a []string) error { return t.autoscale(or(a[0]), a[1]) },
		`keep a copy of the ledger`:                      func(t *Telling, _ []string) error { return t.copyLedger(t.ledgerPath(), t.copyPath()) },
		`start with the copy of the ledger`:              func(t *Telling, _ []string) error { return t.StartRestored() },
		`advance until (\d\d:\d\d)`:                      func(t *Telling, a []string) error { return t.advanceUntil(a[0]) },
		`trouble: ([a-z-]+)(?: of (\S+))?`:               func(t *Telling, a []string) error { return t.trouble(a[0], a[1]) },
		`trouble ends`:                                   func(t *Telling, _ []string) error { return t.troubleEnds() },
		`expect (?:(\w+) )?no word of (.+)`:              func(t *Telling, a []string) error { return t.silentOf(or(a[0]), a[1]) },
		`expect (?:(\w+) )?tag (\S+) to be of what runs`: func(t *Telling, a []string) error { return t.tagOfWhatRuns(or(a[0]), a[1]) },
	})
}

// Expire takes an image out of its repository, as a lifecycle policy does.
func (w *World) Expire(service, tag string) error {
	i := w.image(service, tag)
	out, err := w.account.ECR.BatchDeleteImage(context.Background(), &ecr.BatchDeleteImageInput{
		RepositoryName: &service, ImageIds: []ecrtypes.ImageIdentifier{{ImageDigest: &i.digest}}})
	if err == nil && len(out.Failures) > 0 {
		err = errors.New(aws.ToString(out.Failures[0].FailureReason))
	}
	w.journal.add("registry", "%s:%s has expired", service, tag)
	return err
}

// PushAgain puts the same image back.
func (w *World) PushAgain(service, tag string) error {
	w.journal.add("registry", "%s:%s is there again", service, tag)
	_, err := w.account.PushImage(service, sim.SeedImage{Tag: tag, Digest: w.image(service, tag).digest, Labels: labels(service, tag)})
	return err
}

// Write lets each running task of an image write a line.
func (w *World) Write(service, tag, text string) error {
	ctx := context.Background()
	list, err := w.account.ECS.ListTasks(ctx, &awsecs.ListTasksInput{Cluster: aws.String("main"), ServiceName: &service})
	if err != nil || len(list.TaskArns) == 0 {
		return errors.Join(err, errors.New("no task runs"))
	}
	out, err := w.account.ECS.DescribeTasks(ctx, &awsecs.DescribeTasksInput{Cluster: aws.String("main"), Tasks: list.TaskArns})
	if err != nil {
		return err
	}
	written := 0
	for _, task := range out.Tasks {
		c := task.Containers[0]
		if w.tagOf(service, aws.ToString(c.Image)) == tag {
			w.account.Logs.Put("/ecs/"+service, service+"/"+aws.ToString(c.Name)+"/"+last(aws.ToString(task.TaskArn)), time.Now(), text)
			written++
		}
	}
	w.journal.add("log", "%d tasks of %s:%s write %q", written, service, tag, text)
	if written == 0 {
		return fmt.Errorf("no task of image %s runs", tag)
	}
	return nil
}

// Secret schedules a secret for deletion, takes that back, or makes another one of the same name, which has another ARN.
func (w *World) Secret(name, how string) (err error) {
	ctx := context.Background()
	service, _, _ := strings.Cut(name, "/")
	w.Observer.changed(service)
	w.journal.add("by hand", "the secret %s %s", name, how)
	switch how {
	case "is deleted":
		_, err = w.account.Secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name})
	case "is restored":
		_, err = w.account.Secrets.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name})
	default:
		_, err = w.account.Secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
		if err == nil {
			value := `{"username": "` + name + `", "password": "` + planted + `"}`
			_, err = w.account.Secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
		}
	}
	return err
}

// LogGroup takes a log group away, or makes it again.
func (w *World) LogGroup(name string, gone bool) (err error) {
	w.journal.add("by hand", "log group %s: gone %t", name, gone)
	if gone {
		_, err = w.account.Logs.DeleteLogGroup(context.Background(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &name})
	} else {
		_, err = w.account.Logs.CreateLogGroup(context.Background(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
	}
	return err
}

// AlarmThere deletes an alarm, or makes one of the name that is green.
func (w *World) AlarmThere(name string, there bool) error {
	ctx := context.Background()
	w.journal.add("alarm", "%s is there: %t", name, there)
	if !there {
		_, err := w.account.Alarms.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}})
		return err
	}
	_, err := w.account.Alarms.PutMetricAlarm(ctx, &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("AWS/ApplicationELB"), MetricName: aws.String("HTTPCode_Target_5XX_Count"), Statistic: cwtypes.StatisticSum,
		Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(5), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold})
	return err
}

// DeregisterByHand deregisters the revision that runs.
func (w *World) DeregisterByHand(service string) error {
	s := w.service(service)
	if s == nil {
		return fmt.Errorf("there is no service %s", service)
	}
	arn := s.TaskDefinition
	if strings.Contains(aws.ToString(arn), "/"+service+"-template:") {
		return fmt.Errorf("%s runs the infrastructure's template", service)
	}
	w.journal.add("by hand", "deregisters %s", last(aws.ToString(arn)))
	_, err := w.account.ECS.DeregisterTaskDefinition(context.Background(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: arn})
	return err
}

// DeleteByHand deletes the service: it drains, is INACTIVE, and is forgotten after a while.
func (w *World) DeleteByHand(service string) error {
	s := w.service(service)
	if s == nil || aws.ToString(s.Status) != "ACTIVE" {
		return fmt.Errorf("there is no service %s to delete", service)
	}
	w.journal.add("by hand", "deletes the service %s", service)
	w.deleted[service] = s
	_, err := w.account.ECS.DeleteService(context.Background(), &awsecs.DeleteServiceInput{Cluster: aws.String("main"), Service: &service, Force: aws.Bool(true)})
	return err
}

// CreateByHand makes a deleted service again as its stack made it: with the template, without tasks and without tags.
func (w *World) CreateByHand(service string) error {
	was := w.deleted[service]
	if was == nil {
		return fmt.Errorf("%s was not deleted", service)
	}
	if s := w.service(service); s != nil && aws.ToString(s.Status) == "ACTIVE" {
		return fmt.Errorf("there is a service %s already", service)
	}
	_, err := w.account.ECS.CreateService(context.Background(), &awsecs.CreateServiceInput{
		Cluster: aws.String("main"), ServiceName: &service, TaskDefinition: aws.String(service + "-template"), DesiredCount: aws.Int32(0),
		LaunchType: was.LaunchType, NetworkConfiguration: was.NetworkConfiguration, LoadBalancers: was.LoadBalancers})
	if err == nil {
		w.journal.add("by hand", "creates the service %s", service)
		w.Observer.recreated(service)
	}
	return err
}

// recreated forgets the count that a service had: another one of its name begins with one of its own.
func (o *Observer) recreated(service string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of(service).first = nil
}

// UntagByHand removes a tag of the service.
func (w *World) UntagByHand(service, key string) error {
	s := w.service(service)
	if s == nil {
		return fmt.Errorf("there is no service %s", service)
	}
	w.journal.add("by hand", "removes the tag %s of %s", key, service)
	_, err := w.account.ECS.UntagResource(context.Background(), &awsecs.UntagResourceInput{ResourceArn: s.ServiceArn, TagKeys: []string{key}})
	return err
}

func (t *Telling) autoscale(service, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	return t.ScaleByHand(service, n)
}

func (w *World) copyPath() string { return filepath.Join(w.dir, "ledger-copy.db") }

// copyLedger is a backup: the file as it is between two saves.
func (w *World) copyLedger(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	w.journal.add("ledger", "is copied to %s", filepath.Base(to))
	return os.WriteFile(to, data, 0o600)
}

// StartRestored starts the controller with the ledger that was copied before: somebody restored a backup.
func (w *World) StartRestored() error {
	w.ledgers++
	if err := w.copyLedger(w.copyPath(), w.ledgerPath()); err != nil {
		return err
	}
	return w.Start()
}

// advanceUntil lets time pass until the clock shows so many hours and minutes in UTC, today or tomorrow.
func (t *Telling) advanceUntil(clock string) error {
	c, err := time.Parse("15:04", clock)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	at := time.Date(now.Year(), now.Month(), now.Day(), c.Hour(), c.Minute(), 0, 0, time.UTC)
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return t.advance(at.Sub(now))
}

// trouble is one of the account's own faults, by its name there.
func (t *Telling) trouble(name, target string) error {
	id, err := t.account.AddFault(context.Background(), sim.NamedFault{Name: name, Target: target})
	t.journal.add("fault", "%s %s", name, target)
	t.troubles = append(t.troubles, id)
	return err
}

func (t *Telling) troubleEnds() (err error) {
	for _, id := range t.troubles {
		err = errors.Join(err, t.account.RemoveFault(id))
	}
	t.troubles = nil
	t.journal.add("fault", "the trouble ends")
	return err
}

func (t *Telling) silentOf(service, words string) error {
	if v := t.view(service); v == nil || strings.Contains(v.Status.Why, words) {
		return fmt.Errorf("it speaks of that: %w", t.phase(service, "?"))
	}
	return nil
}

func (t *Telling) tagOfWhatRuns(service, key string) error {
	return t.Await(defaultLimit, func() error {
		s := t.service(service)
		for _, tag := range s.Tags {
			if aws.ToString(tag.Key) == key && aws.ToString(tag.Value) == aws.ToString(s.TaskDefinition) {
				return nil
			}
		}
		return fmt.Errorf("tag %s does not name what runs", key)
	})
}
