package observability_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/githost"
	"github.com/canteen/deploy/controller/notify"
	"github.com/canteen/deploy/controller/origin"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
	"github.com/canteen/deploy/controller/trace"
	"github.com/canteen/deploy/observability/rules"
)

// told is what a controller with every optional part tells, of services in every phase.
func told(t *testing.T) rules.Told {
	t.Helper()
	families, err := everything().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := rules.Told{}
	for _, f := range families {
		out.Add(f)
	}
	return out
}

// everything has the metrics of a controller with every optional part, and of services in every phase.
func everything() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	client.New(aws.Config{Region: "eu-central-1"}, client.Options{Registerer: reg})
	notify.New(notify.Options{Registry: reg, Environment: "prod", Config: &notify.Config{Receivers: map[string]notify.Receiver{"ops": {}}}})
	githost.New(&githost.Host{}, "", zap.NewNop(), reg)
	origin.New(zap.NewNop(), reg)
	if _, err := trace.New(context.Background(), trace.Options{URL: "http://127.0.0.1:4318/v1/traces", Place: trace.Place{Environment: "prod"}, Registry: reg, Log: zap.NewNop()}); err != nil {
		panic(err)
	}
	b := status.New(reg, "prod", status.Build{Version: "1"}, zap.NewNop())
	reg.MustRegister(b)
	now := time.Now()
	b.Queue(queue.New().Stats)
	b.Paused(func() *rollout.Pause { return nil })
	b.Lead(status.Lease{Role: status.RoleStandby})
	b.ReadFromLedger(now)
	b.Pass(status.PassQuiet, time.Second)
	b.LedgerWritten(errors.New("no space left on device"))
	b.Events(func() events.State {
		s := events.New("https://sqs.eu-central-1.amazonaws.com/123456789012/x", zap.NewNop()).State()
		s.Listens, s.ReadAt, s.LastAt = true, now, now
		return s
	})
	b.Repo(status.RepoView{Head: desired.Commit{SHA: "1", At: now}, FetchedAt: now})
	for _, p := range condition.Phases() {
		v := status.View{Status: condition.Status{Service: string(p), Phase: p, Since: now}, Observed: &status.Observed{At: now}}
		v.Record.Service, v.Record.Good = string(p), &rollout.Good{At: now}
		v.Record.Intent = &rollout.Intent{Service: desired.Service{Spec: desired.ServiceSpec{Suspend: &desired.Override{Until: now}}}}
		b.Publish(v)
	}
	return reg
}

// What a rule asks for, a controller tells: the metric, its label, and the label's value.
func TestRulesAskForWhatIsTold(t *testing.T) {
	have := told(t)
	lacks, asked, err := have.Lacks(append(rulesOf(t, recordingFile), rulesOf(t, alertsFile)...), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lacks {
		t.Errorf("%s, which no controller tells", l)
	}
	if asked < 60 {
		t.Errorf("only %d selectors were found", asked)
	}
}

// A quantile is at most the last finite bucket, and between two buckets it is a guess: so each threshold on one is a bucket's bound, and
// not the last.
func TestThresholdsOnQuantilesCanBeReached(t *testing.T) {
	have, held := told(t), 0
	for _, rec := range rulesOf(t, recordingFile) {
		for _, of := range askedBy(t, rec).Quantiles {
			bounds := have[of]["le"]
			if len(bounds) < 2 {
				t.Fatalf("%s has the buckets %v", of, bounds)
			}
			for _, r := range rulesOf(t, alertsFile) {
				for _, limit := range askedBy(t, r).Above[rec.Record] {
					held++
					if !slices.Contains(bounds[:len(bounds)-1], limit) {
						t.Errorf("%s: the threshold of %s must be a bucket below the last, one of %v", r.Alert, r.Expr, bounds)
					}
				}
			}
		}
	}
	if held < 2 {
		t.Errorf("%d alerts on quantiles were found", held)
	}
}

func askedBy(t *testing.T, r rules.Rule) rules.Asked {
	t.Helper()
	asked, err := rules.Parse(r.Expr)
	if err != nil {
		t.Fatalf("%s: %v", r.Name(), err)
	}
	return asked
}
