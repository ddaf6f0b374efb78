package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	awsdb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim/wire"
)

// What follows is about two controllers on one ledger.

// sharedTable is the ledger of both, ledgerService the service that it is asked by.
const (
	sharedTable   = "deploy-ledger"
	ledgerService = "dynamodb"
)

// apart is the time between the starts of two controllers, so that their rhythms do not meet.
const apart = 337*time.Millisecond + 29*time.Microsecond

// senderKey carries the name of the controller that sent a request. tooLate is the sender of one that arrives after the
// controller had given it up.
type senderKey struct{}

const tooLate = "too late"

func sender(ctx context.Context) string {
	name, _ := ctx.Value(senderKey{}).(string)
	return name
}

// lives are the controllers that run, in order of name.
func (w *World) lives() []*life {
	if !w.opts.Two {
		if w.life == nil {
			return nil
		}
		return []*life{w.life}
	}
	var out []*life
	for _, name := range slices.Sorted(maps.Keys(w.two)) {
		out = append(out, w.two[name])
	}
	return out
}

func (w *World) startBoth() error {
	began := false
	for _, name := range []string{"one", "two"} {
		if l := w.two[name]; l != nil {
			if !l.ended() {
				continue
			}
			w.bury(l)
		}
		if began {
			time.Sleep(apart)
		}
		l, err := w.begin(name)
		if err != nil {
			return err
		}
		w.two[name], began = l, true
	}
	if !began {
		return errors.New("both controllers run already")
	}
	w.follow()
	return nil
}

// ended reports whether a controller's process is over.
func (l *life) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// leads reports whether a controller says that it acts.
func (l *life) leads() bool {
	lease := l.app.Board().Snapshot().Lease
	return lease != nil && !lease.Standby() && !l.gate.closed() && !l.ended()
}

// follow makes the controller that leads the one that the story speaks of. While none does it stays the one before, or
// becomes any that runs.
func (w *World) follow() {
	if !w.opts.Two {
		return
	}
	for _, l := range w.lives() {
		if l.leads() || w.life == nil {
			w.life = l
		}
	}
}

// mustLead holds property 15: whoever changes the account holds the lease at that moment.
func (o *Observer) mustLead(c *wire.Call, sender string) {
	if !o.world.opts.Two || sender == "" {
		return
	}
	out, err := o.world.account.DynamoDB.GetItem(context.Background(), &awsdb.GetItemInput{TableName: new(sharedTable), ConsistentRead: new(true), Key: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "dev/meta"}, "sk": &types.AttributeValueMemberS{Value: "lease"},
	}})
	owner := ""
	if err == nil {
		if s, ok := out.Item["owner"].(*types.AttributeValueMemberS); ok {
			owner = s.Value
		}
	}
	if name, _, _ := strings.Cut(owner, "-"); name != sender {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.violation(15, "%s of controller %s took effect while %q held the lease", c.Operation, sender, owner)
	}
}

// cut is a time in which nothing of a controller reaches anybody. healed is closed at its end.
type cut struct {
	healed chan struct{}
}

// plans say when a controller is cut off, or stalled, by what it does next.
type plans struct {
	cutAt   string                    // operation whose request is held up for good, and with it everything after it
	stallAt func(rollout.Record) bool // a record that was just saved: nothing happens after it
	hit     func(late func())         // told when it came to that; late delivers the request that was held up
}

// pass lets a request through, or holds it while the controller is cut off.
func (g *gate) pass(r *http.Request, operation string) error {
	g.mu.Lock()
	forGood := operation != "" && operation == g.cutAt
	if forGood {
		g.cut, g.cutAt = &cut{make(chan struct{})}, ""
	}
	c := g.cut
	g.mu.Unlock()
	if c == nil {
		return nil
	}
	if forGood {
		late, err := later(r, g.next)
		if err != nil {
			return err
		}
		g.hit(late)
		<-r.Context().Done()
		return r.Context().Err()
	}
	select {
	case <-c.healed:
		return r.Context().Err()
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// later is a request that arrives although whoever sent it has given it up.
func later(r *http.Request, next http.RoundTripper) (func(), error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return func() {
		again := r.Clone(context.WithValue(context.Background(), senderKey{}, tooLate))
		again.Body = io.NopCloser(bytes.NewReader(body))
		_, _ = next.RoundTrip(again) // nobody waits for the answer
	}, nil
}

// afterSave stalls the whole controller after the save that the story waits for.
func (g *gate) afterSave(rec rollout.Record) {
	g.mu.Lock()
	if g.stallAt == nil || !g.stallAt(rec) {
		g.mu.Unlock()
		return
	}
	c := &cut{make(chan struct{})}
	g.cut, g.stallAt = c, nil
	g.mu.Unlock()
	g.hit(nil)
	<-c.healed
}

// heal ends a cut or a stall.
func (g *gate) heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut != nil {
		close(g.cut.healed)
		g.cut = nil
	}
}

// plan makes a controller be cut off when it comes to that, and waits until it did.
func (t *Telling) plan(l *life, p plans) error {
	hit := make(chan struct{})
	p.hit = func(late func()) {
		if late != nil {
			t.mu.Lock()
			t.late = append(t.late, late)
			t.mu.Unlock()
		}
		t.journal.add("cut", "nothing of %s reaches anybody from here on", l)
		close(hit)
	}
	l.gate.mu.Lock()
	l.gate.plans = p
	l.gate.mu.Unlock()
	return t.Await(defaultLimit, func() error {
		select {
		case <-hit:
			return nil
		default:
			return errors.New("it did not come to that")
		}
	})
}

// asksFor recognises a record that was saved right before its action is done.
func asksFor(action string) func(rollout.Record) bool {
	return func(rec rollout.Record) bool {
		ro := rec.Rollout
		switch {
		case ro == nil:
			return false
		case action == "migrates":
			return ro.Stage == rollout.StageMigrate && ro.Migration != nil && ro.Migration.Task == "" && ro.Migration.Requests == 1
		default:
			return ro.Stage == rollout.StageRoll && ro.Deployment != nil && ro.Deployment.ID == ""
		}
	}
}

// leader answers who leads, for a deed that is done to him.
func (t *Telling) leader() (*life, error) {
	t.follow()
	if t.life == nil || !t.life.leads() {
		return nil, errors.New("no controller leads")
	}
	t.before = t.life
	return t.life, nil
}

// takesOver waits until another controller leads than the one that something was done to.
func (t *Telling) takesOver(limit time.Duration) error {
	return t.Await(limit, func() error {
		for _, l := range t.lives() {
			if l != t.before && l.leads() {
				return nil
			}
		}
		return fmt.Errorf("no other controller than %s leads", t.before)
	})
}

// standbyTells holds the controller that does not lead to what it says.
func (t *Telling) standbyTells(service, phase string) error {
	return t.Await(defaultLimit, func() error {
		for _, l := range t.lives() {
			if l.leads() || l.ended() {
				continue
			}
			snap := l.app.Board().Snapshot()
			v := snap.Service(service)
			switch {
			case snap.Lease == nil:
				return fmt.Errorf("%s does not know of a lease yet", l)
			case !strings.HasPrefix(snap.Lease.Leader, t.life.name+"-"):
				return fmt.Errorf("%s says that %q leads", l, snap.Lease.Leader)
			case v == nil || string(v.Status.Phase) != phase:
				return fmt.Errorf("%s does not tell phase %s of %s", l, phase, service)
			case time.Since(snap.Lease.ReadAt) > 2*time.Minute:
				return fmt.Errorf("%s tells what was true %s ago", l, time.Since(snap.Lease.ReadAt))
			}
			return nil
		}
		return errors.New("there is no standby")
	})
}

func pairVerbs() []verb {
	toTheLeader := func(do func(*Telling, *life, []string) error) func(*Telling, []string) error {
		return func(t *Telling, a []string) error {
			l, err := t.leader()
			if err != nil {
				return err
			}
			return do(t, l, a)
		}
	}
	return forms(map[string]func(*Telling, []string) error{
		`crash the leader`: toTheLeader(func(t *Telling, _ *life, _ []string) error { return t.Crash() }),
		`stop the leader`:  toTheLeader(func(t *Telling, _ *life, _ []string) error { return t.Stop() }),
		`ask the leader to stop`: toTheLeader(func(_ *Telling, l *life, _ []string) error {
			l.stop()
			return nil
		}),
		`cut off the leader`: toTheLeader(func(t *Telling, l *life, _ []string) error {
			l.gate.mu.Lock()
			defer l.gate.mu.Unlock()
			l.gate.cut = &cut{make(chan struct{})}
			t.journal.add("cut", "nothing of %s reaches anybody from here on", l)
			return nil
		}),
		`cut off the leader at its next (\w+)`: toTheLeader(func(t *Telling, l *life, a []string) error { return t.plan(l, plans{cutAt: a[0]}) }),
		`stall the leader before it (migrates|rolls)`: toTheLeader(func(t *Telling, l *life, a []string) error {
			return t.plan(l, plans{stallAt: asksFor(a[0])})
		}),
		`it comes back`: func(t *Telling, _ []string) error {
			if t.before == nil {
				return errors.New("nothing was done to a leader")
			}
			t.journal.add("cut", "%s is back", t.before)
			t.before.gate.heal()
			return nil
		},
		`its last request arrives`: func(t *Telling, _ []string) error {
			if len(t.late) == 0 {
				return errors.New("no request was held up")
			}
			for _, deliver := range t.late {
				deliver()
			}
			t.late = nil
			return nil
		},
		`DynamoDB (goes away|is throttled)`: func(t *Telling, a []string) error {
			t.before = t.life
			trouble := wire.ErrResponseLost
			if a[0] == "is throttled" {
				trouble = &types.ProvisionedThroughputExceededException{}
			}
			t.faults.Add(wire.Fault{Service: ledgerService, Before: trouble})
			t.journal.add("fault", "DynamoDB %s", a[0])
			return nil
		},
		`expect the other to lead within (\S+)`: func(t *Telling, a []string) error {
			limit, err := time.ParseDuration(a[0])
			return errors.Join(err, t.takesOver(limit))
		},
		`expect the same to lead within (\S+)`: func(t *Telling, a []string) error {
			limit, err := time.ParseDuration(a[0])
			return errors.Join(err, t.Await(limit, func() error {
				if !t.before.leads() {
					return fmt.Errorf("%s does not lead", t.before)
				}
				return nil
			}))
		},
		`expect somebody to lead within (\S+)`: func(t *Telling, a []string) error {
			limit, err := time.ParseDuration(a[0])
			t.before = nil
			return errors.Join(err, t.takesOver(limit))
		},
		`expect nobody to lead within (\S+)`: func(t *Telling, a []string) error {
			limit, err := time.ParseDuration(a[0])
			return errors.Join(err, t.Await(limit, func() error {
				for _, l := range t.lives() {
					if l.leads() {
						return fmt.Errorf("%s leads", l)
					}
				}
				return nil
			}))
		},
		`expect the standby to tell (?:(\w+) )?phase (\w+)`: func(t *Telling, a []string) error { return t.standbyTells(or(a[0]), a[1]) },
	})
}
