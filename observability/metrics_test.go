package observability_test

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// told is what a controller with every optional part tells: of each metric its labels, and of those the values.
func told(t *testing.T) map[string]map[string][]string {
	t.Helper()
	reg := prometheus.NewRegistry()
	client.New(aws.Config{Region: "eu-central-1"}, client.Options{Registerer: reg})
	b := status.New(reg, "prod", status.Build{Version: "1"}, zap.NewNop())
	now := time.Now()
	b.Queue(queue.New().Stats)
	b.Paused(func() *rollout.Pause { return nil })
	b.Lead(status.Lease{Role: status.RoleStandby})
	b.ReadFromLedger(now)
	b.Pass(status.PassQuiet, time.Second)
	b.LedgerWritten(errors.New("no space left on device"))
	b.Events(func() events.State { return events.State{Listens: true, ReadAt: now, LastAt: now} })
	b.Repo(status.RepoView{Head: desired.Commit{SHA: "1", At: now}, FetchedAt: now})
	for _, p := range condition.Phases() {
		v := status.View{Status: condition.Status{Service: string(p), Phase: p, Since: now}, Observed: status.Observed{At: now}}
		v.Record.Service = string(p)
		b.Publish(v)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string][]string{}
	for _, f := range families {
		names := []string{f.GetName()}
		if f.GetMetric()[0].Histogram != nil {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, n := range names {
			out[n] = map[string][]string{}
			for _, m := range f.GetMetric() {
				for _, bucket := range m.GetHistogram().GetBucket() {
					out[n]["le"] = append(out[n]["le"], strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64))
				}
				for _, l := range m.GetLabel() {
					out[n][l.GetName()] = append(out[n][l.GetName()], l.GetValue())
				}
			}
		}
	}
	return out
}

var (
	selector  = regexp.MustCompile(`(?:^|[^:\w])(deploy_\w+)(?:\{([^}]*)\})?`)
	matcher   = regexp.MustCompile(`(\w+)\s*(=~|=)\s*"([^"]*)"`)
	quantile  = regexp.MustCompile(`histogram_quantile\(.*?(deploy_\w+_bucket)`)
	threshold = regexp.MustCompile(`> ([\d.]+)`)
	alike     = regexp.MustCompile(`\|`)
)

// What a rule asks for, a controller tells: the metric, its label, and the label's value.
func TestRulesAskForWhatIsTold(t *testing.T) {
	have, asked := told(t), 0
	for _, r := range append(rulesOf(t, alertsFile), rulesOf(t, recordingFile)...) {
		for _, s := range selector.FindAllStringSubmatch(r.Expr, -1) {
			asked++
			labels, there := have[s[1]]
			if !there {
				t.Errorf("%s asks for %s, which no controller tells", r.name(), s[1])
				continue
			}
			for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
				for _, value := range alike.Split(m[3], -1) {
					if !contains(labels[m[1]], value) {
						t.Errorf("%s asks for %s{%s=%q}, which no controller tells", r.name(), s[1], m[1], value)
					}
				}
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d selectors were found", asked)
	}
}

// A quantile is at most the last finite bucket, and between two buckets it is a guess: so each threshold on one is a bucket's bound, and
// not the last.
func TestThresholdsOnQuantilesCanBeReached(t *testing.T) {
	have, held := told(t), 0
	for _, rec := range rulesOf(t, recordingFile) {
		of := quantile.FindStringSubmatch(rec.Expr)
		if of == nil {
			continue
		}
		bounds := have[of[1]]["le"]
		if len(bounds) < 2 {
			t.Fatalf("%s has the buckets %v", of[1], bounds)
		}
		for _, r := range rulesOf(t, alertsFile) {
			_, after, asks := strings.Cut(r.Expr, rec.Record)
			if !asks {
				continue
			}
			held++
			limit := threshold.FindStringSubmatch(after)
			if limit == nil || !contains(bounds[:len(bounds)-1], limit[1]) || limit[1] == bounds[len(bounds)-1] {
				t.Errorf("%s: the threshold of %s must be a bucket below the last, one of %v", r.Alert, r.Expr, bounds)
			}
		}
	}
	if held == 0 {
		t.Error("no alert on a quantile was found")
	}
}

func contains(all []string, one string) bool {
	for _, v := range all {
		if v == one {
			return true
		}
	}
	return false
}
