package trace

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/canteen/deploy/controller/rollout"
)

// Place is where the rollouts of a tracer happen.
type Place struct {
	Environment string
	Source      string // the repository
	Branch      string
	Page        string // address of the controller's page, for links; empty for none
}

// span is one span of a rollout's trace, the first of which is the root.
type span struct {
	id         trace.SpanID
	name       string
	from, to   time.Time
	attributes []attribute.KeyValue
	well       bool   // it came true
	failed     string // why it did not; empty where nobody says so
	events     []event
	links      []trace.Link
}

type event struct {
	name       string
	at         time.Time
	attributes []attribute.KeyValue
}

// The spans that the record has no stage for.
const (
	spanWait   = "wait"   // from the commit to the beginning of the rollout
	spanVerify = "verify" // from the end of the roll until every check passes, with which the bake begins
)

// oldest is how long before its rollout a commit may have been made to be the beginning of the trace. What is older was not waited
// for: the file was there before the controller.
const oldest = 30 * 24 * time.Hour

// TraceID is the same for the same rollout, whoever tells it and however often. A number alone would come again where a ledger was lost.
func TraceID(environment string, e rollout.Entry) trace.TraceID {
	return trace.TraceID(hash(environment, e.Service, strconv.Itoa(e.Number), strconv.FormatInt(e.StartedAt.Unix(), 10))[:16])
}

func spanID(id trace.TraceID, n int) trace.SpanID {
	return trace.SpanID(hash(id.String(), strconv.Itoa(n))[:8])
}

func hash(parts ...string) []byte {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return h[:]
}

// spansOf are the spans of a rollout that ended: the root from the commit to the verdict, and one for each stage. before is the rollout
// whose failure it puts right, nil where there is none or it is not known.
func spansOf(p Place, e rollout.Entry, before *rollout.Entry) []span {
	id := TraceID(p.Environment, e)
	root := span{name: string(e.Kind) + " " + e.Service, from: e.StartedAt, to: e.EndedAt, attributes: attributesOf(p, e)}
	if at := e.Commit.At; asked(e) && at.Before(e.StartedAt) && e.StartedAt.Sub(at) <= oldest {
		root.from = at
	}
	if before != nil {
		of := TraceID(p.Environment, *before)
		root.links = []trace.Link{{
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: of, SpanID: spanID(of, 0), TraceFlags: trace.FlagsSampled, Remote: true}),
			Attributes:  present(text("deploy.link", "failed"), text(string(semconv.CICDPipelineRunIDKey), runID(p, *before))),
		}}
	}
	out := append([]span{root}, stages(e, root.from)...)
	switch result := resultOf(e); {
	case result == semconv.CICDPipelineResultSuccess.Value.AsString():
		out[0].well = true
	case e.Result != rollout.ResultSuperseded:
		out[0].failed = clip(e.Message)
		blame(out, e)
	}
	for i := range out {
		out[i].id = spanID(id, i)
	}
	return out
}

// asked reports whether the rollout is the answer to a commit.
func asked(e rollout.Entry) bool {
	return e.Kind == rollout.KindDeploy && (e.Trigger == rollout.TriggerGit || e.Trigger == rollout.TriggerRetry)
}

// stages are what the rollout's time went by with, in order.
func stages(e rollout.Entry, from time.Time) []span {
	var out []span
	add := func(name string, from, to time.Time, more ...attribute.KeyValue) {
		out = append(out, span{name: name, from: from, to: to, attributes: append([]attribute.KeyValue{semconv.CICDPipelineTaskName(name)}, more...)})
	}
	if from.Before(e.StartedAt) {
		add(spanWait, from, e.StartedAt)
	}
	for _, s := range e.Spans {
		switch s.Stage {
		case rollout.StageBake:
			baked := e.BakeFrom
			if baked.Before(s.From) || baked.After(s.To) {
				baked = s.To // no check ever passed
			}
			add(spanVerify, s.From, baked)
			if baked.Before(s.To) {
				add(string(s.Stage), baked, s.To)
			}
		case rollout.StageMigrate:
			add(string(s.Stage), s.From, s.To, present(text("deploy.migration", e.Migration), text(string(semconv.AWSECSTaskARNKey), e.Task))...)
		case rollout.StageRoll:
			add(string(s.Stage), s.From, s.To, present(text(string(semconv.DeploymentIDKey), e.Deployment))...)
		default:
			add(string(s.Stage), s.From, s.To)
		}
	}
	return out
}

// blame marks the stage in which the rollout failed: the one before the evidence was collected, or else the last one.
func blame(spans []span, e rollout.Entry) {
	at := len(spans) - 1
	if at > 1 && spans[at].name == string(rollout.StageEvidence) {
		at--
	}
	if at == 0 || e.Evidence == nil {
		return
	}
	s := &spans[at]
	s.failed = clip(e.Evidence.Message)
	s.attributes = append(s.attributes, semconv.CICDPipelineTaskRunResultKey.String(resultOf(e)), semconv.ErrorTypeKey.String(errorType(e)))
	s.events = append(s.events, event{"failure", e.Evidence.At, present(text("deploy.check", e.Evidence.Check), text("deploy.reason", e.Evidence.Reason),
		text("deploy.class", string(e.Evidence.Class)), text("deploy.message", e.Evidence.Message))})
	for _, task := range e.Evidence.Tasks {
		var codes []string
		for _, name := range slices.Sorted(maps.Keys(task.ExitCodes)) {
			codes = append(codes, fmt.Sprintf("%s=%d", name, task.ExitCodes[name]))
		}
		s.events = append(s.events, event{"task stopped", e.Evidence.At, present(text(string(semconv.AWSECSTaskARNKey), task.Task), text("deploy.stop.code", task.StopCode),
			text("deploy.stop.reason", task.Reason), texts("deploy.exit.codes", codes))})
	}
}

// attributesOf are those of the root, by the conventions where there is one: https://opentelemetry.io/docs/specs/semconv/cicd/cicd-spans/
func attributesOf(p Place, e rollout.Entry) []attribute.KeyValue {
	out := present(
		semconv.CICDPipelineName(e.Service),
		semconv.CICDPipelineRunID(runID(p, e)),
		semconv.CICDPipelineActionNameKey.String(string(e.Kind)),
		semconv.CICDPipelineResultKey.String(resultOf(e)),
		text(string(semconv.CICDPipelineRunURLFullKey), p.link(e)),
		text(string(semconv.VCSRefHeadRevisionKey), e.Commit.SHA),
		text(string(semconv.VCSRefHeadNameKey), p.Branch),
		text(string(semconv.VCSRepositoryURLFullKey), p.repository()),
		text(string(semconv.DeploymentIDKey), e.Deployment),
		text("deploy.service", e.Service),
		attribute.Int("deploy.rollout", e.Number),
		text("deploy.kind", string(e.Kind)),
		text("deploy.trigger", string(e.Trigger)),
		text("deploy.result", string(e.Result)),
		text("deploy.message", e.Message),
		text("deploy.ask", e.Ask),
		text("deploy.revision", e.Revision),
		text("deploy.commit.subject", rollout.Redact(e.Commit.Subject)),
		text("deploy.commit.author", e.Commit.Author),
		texts("deploy.images", e.Images),
		texts("deploy.digests", e.Digests),
		texts("deploy.built", e.Built),
	)
	if family, revision, ok := definition(e.Revision); ok {
		out = append(out, semconv.AWSECSTaskFamily(family), semconv.AWSECSTaskRevision(revision))
	}
	if t := errorType(e); t != "" {
		out = append(out, semconv.ErrorTypeKey.String(t))
	}
	if e.Evidence != nil {
		out = append(out, present(text("deploy.check", e.Evidence.Check), text("deploy.reason", e.Evidence.Reason), text("deploy.class", string(e.Evidence.Class)))...)
	}
	switch resultOf(e) {
	case semconv.CICDPipelineResultSuccess.Value.AsString():
		out = append(out, semconv.DeploymentStatusSucceeded)
	case semconv.CICDPipelineResultCancellation.Value.AsString():
	default:
		out = append(out, semconv.DeploymentStatusFailed)
	}
	return out
}

// resultOf is the conventions' word for how a rollout ended.
func resultOf(e rollout.Entry) string {
	result := semconv.CICDPipelineResultError
	switch e.Result {
	case rollout.ResultSucceeded, rollout.ResultReverted, rollout.ResultRestored:
		result = semconv.CICDPipelineResultSuccess
	case rollout.ResultSuperseded:
		result = semconv.CICDPipelineResultCancellation
	case rollout.ResultRejected, rollout.ResultRevertFailed:
		result = semconv.CICDPipelineResultFailure
	case rollout.ResultStalled:
		if e.Evidence != nil && e.Evidence.Reason == rollout.ReasonDeadline {
			result = semconv.CICDPipelineResultTimeout
		}
	}
	return result.Value.AsString()
}

// errorType is the closed word for why a rollout failed, empty where it did not.
func errorType(e rollout.Entry) string {
	switch {
	case e.Result == rollout.ResultSuperseded || resultOf(e) == semconv.CICDPipelineResultSuccess.Value.AsString():
		return ""
	case e.Evidence == nil || e.Evidence.Reason == "":
		return string(e.Result)
	}
	return e.Evidence.Reason
}

func runID(p Place, e rollout.Entry) string {
	return fmt.Sprintf("%s/%s/%d", p.Environment, e.Service, e.Number)
}

// link is the address of the rollout's evidence, empty without a page.
func (p Place) link(e rollout.Entry) string {
	if p.Page == "" {
		return ""
	}
	return fmt.Sprintf("%s/services/%s/rollouts/%d", strings.TrimSuffix(p.Page, "/"), url.PathEscape(e.Service), e.Number)
}

// repository is the repository where it has an address of the web, which others can open too.
func (p Place) repository() string {
	if u, err := url.Parse(p.Source); err == nil && u.Scheme == "https" && u.User == nil {
		return p.Source
	}
	return ""
}

// definition takes the ARN of a task definition apart, …:task-definition/FAMILY:REVISION.
func definition(arn string) (family, revision string, ok bool) {
	_, name, found := strings.Cut(arn, ":task-definition/")
	family, revision, ok = strings.Cut(name, ":")
	return family, revision, ok && found
}

// textMax bounds each text, in bytes.
const textMax = 2000

// clip makes a text that the protocol can carry: valid, and not too long.
func clip(s string) string {
	if len(s) > textMax {
		s = s[:textMax]
	}
	return strings.ToValidUTF8(s, "")
}

// text is an attribute; present leaves out those that are empty.
func text(key, value string) attribute.KeyValue { return attribute.String(key, clip(value)) }

func texts(key string, values []string) attribute.KeyValue {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = clip(v)
	}
	return attribute.StringSlice(key, out)
}

func present(all ...attribute.KeyValue) []attribute.KeyValue {
	var out []attribute.KeyValue
	for _, a := range all {
		if a.Value.Type() == attribute.STRING && a.Value.AsString() == "" || a.Value.Type() == attribute.STRINGSLICE && len(a.Value.AsStringSlice()) == 0 {
			continue
		}
		out = append(out, a)
	}
	return out
}
