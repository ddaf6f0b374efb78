package story

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/canteen/deploy/controller/sim/script"
)

// What the infrastructure does without git.

// infrastructureVerbs are its lines.
func infrastructureVerbs() []verb {
	return forms(map[string]func(*Telling, []string) error{
		// The count is sent only where the parameter still has its first value, as the infrastructure's template has it.
		`CloudFormation updates (\w+)(?: with count (\d+))?`: func(t *Telling, a []string) error {
			out, err := t.account.SSM.GetParameter(context.Background(), &ssm.GetParameterInput{Name: aws.String("/" + a[0] + "/task-definition")})
			if err != nil {
				return err
			}
			var count *int32
			if n, err := strconv.ParseInt(a[1], 10, 32); err == nil {
				count = aws.Int32(int32(n))
			}
			return t.UpdateStack(a[0], aws.ToString(out.Parameter.Value), count)
		},
		`CloudFormation updates (\w+) and names (\S+)`: func(t *Telling, a []string) error { return t.UpdateStack(a[0], a[1], nil) },
		`the secret of (\w+) is rotated`: func(t *Telling, a []string) error {
			t.Observer.changed(a[0])
			t.journal.add("secret", "%s/db has a new value", a[0])
			_, err := t.account.Secrets.PutSecretValue(context.Background(), &secretsmanager.PutSecretValueInput{
				SecretId: aws.String(a[0] + "/db"), SecretString: aws.String(`{"username":"` + a[0] + `","password":"` + planted + `-2"}`)})
			return err
		},
		`(?:(\w+) )?image (\w+) (crashes|works) from now on`: func(t *Telling, a []string) error {
			app := script.Script{Logs: []script.Line{{Text: "listening on 8080"}}}
			if a[2] == "crashes" {
				app = script.Script{Exit: &script.Exit{Code: 1}}
			}
			return t.pullable(or(a[0]), a[1], a[2]+" from now on", app)
		},
	})
}

// UpdateStack updates a service's stack, which sends the whole service again, as CloudFormation does. It goes on while the
// story does.
func (w *World) UpdateStack(service, taskDefinition string, count *int32) error {
	s := w.service(service)
	if s == nil {
		return fmt.Errorf("there is no service %s", service)
	}
	if u := w.updates[service]; u != nil && !u.over() {
		return fmt.Errorf("stack %s-dev is being updated", service)
	}
	w.journal.add("stack", "%s-dev is updated and sends %s with %s", service, service, last(taskDefinition))
	ctx, cancel := context.WithCancel(context.Background())
	u := &stackUpdate{stop: cancel, done: make(chan struct{})}
	w.updates[service] = u
	w.closers = append(w.closers, u.cancel)
	go func() {
		defer close(u.done)
		err := w.account.CFN.Update(ctx, w.account.ECS, service+"-dev", &ecs.UpdateServiceInput{Cluster: aws.String("main"), Service: &service, TaskDefinition: &taskDefinition, DesiredCount: count})
		w.journal.add("stack", "%s-dev was updated: %v", service, err)
	}()
	return nil
}

// stackUpdate is one that goes on, or went.
type stackUpdate struct {
	stop context.CancelFunc
	done chan struct{}
}

// cancel ends it where it is.
func (u *stackUpdate) cancel() {
	u.stop()
	<-u.done
}

func (u *stackUpdate) over() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}
