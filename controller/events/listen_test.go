package events_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
)

const (
	queueURL = "https://sqs." + sim.DefaultRegion + ".amazonaws.com/" + sim.DefaultAccount + "/hints"
	mark     = "deploy-5f0f3b1c2d4e5f60718293a4"
	taskARN  = "arn:aws:ecs:" + sim.DefaultRegion + ":" + sim.DefaultAccount + ":task/main/0cdc9ad5b6a04a3f9a3f0c2d1e4b5a69"
)

// ear is a listener on a real queue of the local account, and what it woke.
type ear struct {
	*testing.T
	sim   *sim.Account
	l     *events.Listener
	stop  func()
	wakes []time.Time
}

// listening runs f with an ear that listens.
func listening(t *testing.T, known map[string]events.Known, f func(e *ear)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		local, err := sim.New(sim.Config{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = local.Close() }()
		if _, err := local.SQS.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("hints")}); err != nil {
			t.Fatal(err)
		}
		e := &ear{T: t, sim: local}
		e.start(known)
		f(e)
		e.stop()
	})
}

// start starts a listener, as a controller that begins to act does.
func (e *ear) start(known map[string]events.Known) {
	ctx, cancel := context.WithCancel(e.Context())
	l := events.New(queueURL, zap.NewNop())
	e.l = l
	l.Begin(known)
	a := account.New(client.New(e.sim.AWSConfig(), client.Options{Jitter: func() float64 { return 0 }}), account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Listen(ctx, events.Office{
			Account: sim.DefaultAccount, Region: sim.DefaultRegion, Idle: time.Minute, Queue: a,
			Wake:     func(_ string, at time.Time) { e.wakes = append(e.wakes, at) },
			Notice:   func(p events.Place) { a.Notice(p.Cluster, p.Service) },
			Watching: func(string) []string { return nil },
		})
	}()
	e.stop = func() { cancel(); <-ended }
}

// rest lets time pass, and the listener finish what it does in the last moment of it.
func (e *ear) rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (e *ear) send(bodies ...string) {
	e.Helper()
	for _, b := range bodies {
		if _, err := e.sim.SQS.SendMessage(e.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(queueURL), MessageBody: &b}); err != nil {
			e.Fatal(err)
		}
	}
}

// left is how many messages are in the queue.
func (e *ear) left() string {
	e.Helper()
	out, err := e.sim.SQS.GetQueueAttributes(e.Context(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String(queueURL), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		e.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// told fails unless the end of the task is known, or not, and surely so.
func (e *ear) told(want string) {
	e.Helper()
	ended, err := e.l.Ended(taskARN)
	got := "unknown"
	switch {
	case err != nil:
		got = "perhaps"
	case ended != nil:
		got = "known"
	}
	if got != want {
		e.Errorf("the end of the task is %s, want %s", got, want)
	}
}

func (e *ear) counted(k events.Kind, o events.Outcome, want int) {
	e.Helper()
	for _, c := range e.l.State().Counts {
		if c.Kind == k && c.Outcome == o && c.Number != want {
			e.Errorf("%s %s: %d, want %d", k, o, c.Number, want)
		}
	}
}

func orders(k events.Known) map[string]events.Known {
	k.Place = events.Place{Cluster: "main", Service: "orders"}
	return map[string]events.Known{"orders": k}
}

func deploymentOf(service string) string {
	return fmt.Sprintf(`{"source":"aws.ecs","detail-type":"ECS Deployment State Change","account":%q,"region":%q,"resources":["arn:aws:ecs:r:a:service/main/%s"],"detail":{}}`,
		sim.DefaultAccount, sim.DefaultRegion, service)
}

// The message that tells the end of a migration's task stays until the record does not need it, whoever is killed in between.
func TestTheEndOfAMigrationIsKept(t *testing.T) {
	needed := orders(events.Known{Mark: mark, Task: taskARN})
	listening(t, needed, func(e *ear) {
		e.told("perhaps")
		e.send(sample(e.T, "migration"))
		e.rest(time.Second)
		e.told("known")
		if len(e.wakes) != 1 || e.left() != "0+1" {
			t.Errorf("%d wakes, %s messages", len(e.wakes), e.left())
		}
		e.counted(events.KindTask, events.OutcomeKept, 1)

		e.stop() // killed before the record was concluded
		e.start(needed)
		e.told("perhaps")
		e.rest(70 * time.Second)
		e.told("known")

		e.l.Note("orders", events.Known{}) // the record was saved without it
		e.told("perhaps")
		e.rest(30 * time.Second)
		if e.left() != "0+0" {
			t.Errorf("%s messages are left", e.left())
		}
		e.rest(2 * time.Minute)
		e.told("unknown")
	})
}

// A killed controller's message is hidden for a minute: until then nobody may say that it will not come.
func TestNothingIsLostTooSoon(t *testing.T) {
	listening(t, orders(events.Known{Mark: mark, Task: taskARN}), func(e *ear) {
		e.rest(59 * time.Second)
		e.told("perhaps")
		e.rest(45 * time.Second)
		e.told("unknown")
	})
}

// A queue that cannot be read holds nothing up for ever.
func TestUnreadableQueue(t *testing.T) {
	listening(t, orders(events.Known{Mark: mark, Task: taskARN}), func(e *ear) {
		e.sim.Faults.Add(wire.Fault{Operation: "ReceiveMessage", Before: &wire.StatusError{Status: 400, Code: "AccessDenied", Message: "no"}})
		e.rest(9 * time.Minute)
		e.told("perhaps")
		if s := e.l.State(); !strings.Contains(s.Error, "AccessDenied") || s.Slow {
			t.Errorf("told %+v", s)
		}
		e.rest(3 * time.Minute)
		e.told("unknown")
		e.sim.Faults.Clear()
		e.rest(3 * time.Minute)
		if s := e.l.State(); s.Error != "" {
			t.Errorf("told %+v", s)
		}
	})
}

// A busy queue is never empty: what is older than the start is known to be gone once nothing but new messages have come for long.
func TestBusyQueue(t *testing.T) {
	listening(t, orders(events.Known{Mark: mark, Task: taskARN}), func(e *ear) {
		for range 40 {
			e.send(deploymentOf("orders"))
			time.Sleep(5 * time.Second)
		}
		e.told("perhaps")
		for range 40 {
			e.send(deploymentOf("orders"))
			time.Sleep(5 * time.Second)
		}
		e.told("unknown")
	})
}

// The task may be heard of before its record is known here.
func TestTheEndComesBeforeTheRecord(t *testing.T) {
	listening(t, orders(events.Known{}), func(e *ear) {
		now := time.Now().UTC().Format(time.RFC3339)
		e.send(strings.Replace(sample(t, "migration"), `"stoppedAt": "2000-01-01T00:03:20.000Z"`, `"stoppedAt": "`+now+`"`, 1))
		e.rest(time.Second)
		e.counted(events.KindTask, events.OutcomeLater, 1)
		e.l.Note("orders", events.Known{Mark: mark})
		e.rest(90 * time.Second)
		e.told("known")
		e.l.Note("orders", events.Known{})
		e.rest(30 * time.Second)
		if e.left() != "0+0" {
			t.Errorf("%s messages are left", e.left())
		}
	})
}

// The end of a task that bears a mark and that no record knows is dropped once it is old.
func TestOldEndsOfNobodyAreDropped(t *testing.T) {
	listening(t, orders(events.Known{}), func(e *ear) {
		e.rest(10 * time.Minute) // the sample is of the third minute of the year 2000, in which this world begins
		e.send(sample(t, "migration"))
		e.rest(21 * time.Second)
		if e.left() != "0+0" || len(e.wakes) != 0 {
			t.Errorf("%s messages are left, %d wakes", e.left(), len(e.wakes))
		}
	})
}

// Events come in bursts; a service is woken at once, and at most once a second.
func TestBursts(t *testing.T) {
	listening(t, orders(events.Known{}), func(e *ear) {
		begun := time.Now()
		for range 50 {
			e.send(deploymentOf("orders"), deploymentOf("menus"))
		}
		e.rest(time.Second)
		distinct := map[time.Time]bool{}
		for _, at := range e.wakes {
			distinct[at] = true
		}
		if len(distinct) != 2 || e.wakes[0].Sub(begun) > 100*time.Millisecond {
			t.Errorf("woken for %d moments, first after %s", len(distinct), e.wakes[0].Sub(begun))
		}
		e.counted(events.KindDeployment, events.OutcomeWoke, 50)
		e.counted(events.KindDeployment, events.OutcomeIgnored, 50)
		if e.left() != "0+0" {
			t.Errorf("%s messages are left", e.left())
		}
	})
}

// Events of another account or region, sent here by a rule of theirs, are none of ours.
func TestForeignEvents(t *testing.T) {
	listening(t, orders(events.Known{Mark: mark, Task: taskARN}), func(e *ear) {
		e.send(strings.Replace(deploymentOf("orders"), sim.DefaultAccount, "111122223333", 1), strings.Replace(sample(t, "migration"), `"region": "eu-central-1"`, `"region": "eu-west-1"`, 1))
		e.rest(30 * time.Second)
		if len(e.wakes) != 0 || e.left() != "0+0" {
			t.Errorf("%d wakes, %s messages are left", len(e.wakes), e.left())
		}
		e.told("perhaps")
	})
}

// A service that changes without an event costs the trust in events: the ordinary pace at once, for everybody.
func TestTrust(t *testing.T) {
	listening(t, orders(events.Known{}), func(e *ear) {
		sweep := func(want time.Duration) {
			t.Helper()
			if got := e.l.Sweep("orders", time.Minute); got != want {
				t.Errorf("sweep every %s, want %s", got, want)
			}
		}
		e.rest(10 * time.Minute)
		sweep(time.Minute) // nothing was ever heard
		e.l.Note("orders", events.Known{Sign: "ecs-svc/1 COMPLETED"})
		e.send(deploymentOf("orders"))
		e.rest(time.Second)
		sweep(time.Minute) // a moment ago: what it was about may not show yet
		e.l.Note("orders", events.Known{Sign: "ecs-svc/2 COMPLETED"})
		e.rest(10 * time.Minute)
		sweep(5 * time.Minute)
		e.l.Note("orders", events.Known{Sign: "ecs-svc/2 COMPLETED"})
		e.rest(10 * time.Minute)
		woken := len(e.wakes)
		e.l.Note("orders", events.Known{Sign: "ecs-svc/3 COMPLETED"})
		sweep(time.Minute)
		e.rest(3 * time.Minute)
		if s := e.l.State(); s.Missed != 1 || s.Slow || len(e.wakes) != woken+1 {
			t.Errorf("%+v, %d wakes", s, len(e.wakes)-woken)
		}
		e.rest(90 * time.Minute)
		sweep(5 * time.Minute)
		// An event that comes within two minutes is late, and no more.
		e.l.Note("orders", events.Known{Sign: "ecs-svc/4 COMPLETED"})
		e.rest(time.Minute)
		e.send(deploymentOf("orders"))
		e.rest(10 * time.Minute)
		sweep(5 * time.Minute)
		if s := e.l.State(); s.Missed != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCheckURL(t *testing.T) {
	for url, says := range map[string]string{
		"https://sqs.eu-central-1.amazonaws.com/123456789012/deploy-events": "",
		"http://127.0.0.1:4566/000000000000/hints":                          "",
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/x":            "",
		"deploy-events": "is not the URL",
		"arn:aws:sqs:eu-central-1:123456789012:x":             "is not the URL",
		"ftp://sqs/123456789012/x":                            "is not the URL",
		"https://user@sqs/123456789012/x":                     "is not the URL",
		"https://sqs/123456789012/x?y=1":                      "is not the URL",
		"https://sqs.eu-central-1.amazonaws.com/":             "no account and name",
		"https://sqs/12345/x":                                 "no account and name",
		"https://sqs/12345678901x/x":                          "no account and name",
		"https://sqs/123456789012/x/y":                        "no account and name",
		"https://sqs/123456789012/":                           "no queue's name",
		"https://sqs/123456789012/x.fifo":                     "FIFO",
		"https://sqs/123456789012/has space":                  "no queue's name",
		"https://sqs/123456789012/" + strings.Repeat("x", 81): "no queue's name",
		"":          "is not the URL",
		"https://%": "is not the URL",
	} {
		err := events.CheckURL(url)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, want %q", url, err, says)
		}
	}
}
