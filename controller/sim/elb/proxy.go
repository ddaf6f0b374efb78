package elb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// idleTimeout is the load balancer's default for both sides.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
const idleTimeout = 60 * time.Second

type realListener struct {
	address string
	server  *http.Server
	ended   chan struct{}
}

func (r *realListener) close() {
	_ = r.server.Close() // the listener is going away: there is nobody to tell
	<-r.ended
}

// listen opens the listener's port on 127.0.0.1; port 0 takes a free one.
func (e *Engine) listen(ctx context.Context, l *listener, port int) (*realListener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: "target"}) // forwarding picks the real one
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		},
		Transport: &forwarding{
			engine: e, listener: l,
			// A connection of its own for each request: none is ever sent on one that a stopped target is closing.
			transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: idleTimeout},
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, http.StatusText(status(err)), status(err))
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	r := &realListener{
		address: ln.Addr().String(), ended: make(chan struct{}),
		server: &http.Server{Handler: proxy, ReadHeaderTimeout: idleTimeout, IdleTimeout: idleTimeout, ErrorLog: log.New(io.Discard, "", 0)},
	}
	go func() {
		defer close(r.ended)
		_ = r.server.Serve(ln) // ends by close, and then says only that
	}()
	return r, nil
}

var errNoTarget = errors.New("the target group has no registered targets")

// status is what an application load balancer answers in place of a target.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
func status(err error) int {
	var timeout net.Error
	switch {
	case errors.Is(err, errNoTarget):
		return http.StatusServiceUnavailable
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadGateway
	}
}

// forwarding sends one request to one target. Another target is tried only where no connection could be
// opened: then nothing was sent.
type forwarding struct {
	engine    *Engine
	listener  *listener
	transport *http.Transport
}

func (f *forwarding) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	body := r.Body
	if body != nil {
		defer func() { _ = body.Close() }() // ReverseProxy's body is the client's, which reports its own errors
	}
	err = errNoTarget
	group, targets := f.engine.candidates(f.listener, r)
	defer func(began time.Time) { f.measure(group, resp, err, time.Since(began)) }(time.Now())
	for _, t := range targets {
		try := r.Clone(r.Context())
		try.URL.Host = t.Address
		if body != nil && body != http.NoBody {
			try.Body = io.NopCloser(body)
		}
		if resp, err = f.transport.RoundTrip(try); err == nil {
			return resp, nil
		}
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			return nil, err
		}
	}
	return nil, err
}

// measure counts one request as CloudWatch's metrics do: by who answered, and by the answer's hundred.
func (f *forwarding) measure(groupARN string, resp *http.Response, err error, took time.Duration) {
	tell := f.engine.config.Measure
	if tell == nil {
		return
	}
	lb, group := dimension(*f.listener.LoadBalancerArn, ":loadbalancer/"), dimension(groupARN, ":")
	tell("RequestCount", lb, group, 1)
	if err != nil {
		tell(fmt.Sprintf("HTTPCode_ELB_%dXX_Count", status(err)/100), lb, "", 1)
		return
	}
	tell(fmt.Sprintf("HTTPCode_Target_%dXX_Count", resp.StatusCode/100), lb, group, 1)
	tell("TargetResponseTime", lb, group, took.Seconds())
}

// dimension is the last part of an ARN, after the last mark.
func dimension(arn, mark string) string {
	if i := strings.LastIndex(arn, mark); i >= 0 {
		return arn[i+len(mark):]
	}
	return arn
}

// candidates lists the targets for one request, in the order in which to try them: round robin over the healthy
// ones of the group that the listener's rules and weights give. Where none is healthy, all that are registered:
// a load balancer fails open.
func (e *Engine) candidates(l *listener, r *http.Request) (groupARN string, targets []ecs.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	groupARN = l.choose(r).pick()
	g := e.groups[groupARN]
	if g == nil {
		return groupARN, nil
	}
	var good, rest []ecs.Target
	for _, k := range slices.Sorted(maps.Keys(g.targets)) {
		t := g.targets[k]
		switch {
		case t.deregistered || t.Address == "":
		case t.health.State == string(types.TargetHealthStateEnumHealthy):
			good = append(good, t.Target)
		default:
			rest = append(rest, t.Target)
		}
	}
	if len(good) == 0 {
		good = rest
	}
	if len(good) == 0 {
		return groupARN, nil
	}
	g.turn++
	first := g.turn % len(good)
	return groupARN, slices.Concat(good[first:], good[:first])
}
