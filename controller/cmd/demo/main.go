// Command demo tells the whole story on this machine: an AWS account in one process, a git repository made from
// desired/dev, and the controller and the worker as real processes. Commits become verified rollouts, and bad commits
// become reverts, while a visitor's requests go on being answered.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/canteen/deploy/controller/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type flags struct {
	accountOnly, exitWhenDone bool
	seed, awsListen, listen   string
	killEvery                 time.Duration
	killSeed                  uint64
}

// run returns the exit code: 0 when all came out as told, 1 when something did not, 2 for a wrong call.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var f flags
	set := flag.NewFlagSet("demo", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.BoolVar(&f.accountOnly, "account-only", false, "serve the account and nothing else")
	set.StringVar(&f.seed, "seed", "", "with --account-only: what the account holds at first (controller/sim/README.md)")
	set.StringVar(&f.awsListen, "aws-listen", "127.0.0.1:4566", "address of the AWS endpoint; a free port where it is taken")
	set.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the controller's page; a free port where it is taken")
	set.BoolVar(&f.exitWhenDone, "exit-when-done", false, "end after the story, with exit code 0 only if all came out as told")
	set.DurationVar(&f.killEvery, "kill-controller-every", 0, "kill the controller without warning about this often, and start it again")
	set.Uint64Var(&f.killSeed, "kill-seed", 1, "seed of the moments at which it is killed")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if set.NArg() > 0 || f.seed != "" && !f.accountOnly {
		fmt.Fprintln(stderr, "demo: it takes flags only, and --seed only with --account-only; see --help")
		return 2
	}
	dir, err := os.MkdirTemp("", "deploy-demo-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		if f.accountOnly {
			err = serveAccount(ctx, f, dir, stdout)
		} else {
			err = demo(ctx, f, dir, stdout)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return 1
	}
	return 0
}

// serveAccount serves the account alone.
func serveAccount(ctx context.Context, f flags, dir string, stdout io.Writer) error {
	l, err := sim.Listen(ctx, f.awsListen)
	if err != nil {
		return err
	}
	account, err := openAccount(ctx, dir, f.seed, "http://"+l.Addr().String())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { _ = account.Close() }()
	fmt.Fprintf(stdout, "The account is at http://%s (account %s, %s). Any AWS client works on it:\n", l.Addr(), sim.DefaultAccount, sim.DefaultRegion)
	fmt.Fprintf(stdout, "  export AWS_ENDPOINT_URL=http://%[1]s AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s\n  aws ecs describe-clusters --clusters order-processing-dev\nCtrl-C ends it.\n", l.Addr(), sim.DefaultRegion)
	return account.Serve(ctx, l)
}

// stage is everything that the story plays on.
type stage struct {
	account *sim.Account
	page    string
	teller  *teller
	visitor *visitor
}

func demo(ctx context.Context, f flags, dir string, stdout io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	say := narrator(stdout)
	build, err := newBuilder(ctx, dir)
	if err != nil {
		return err
	}
	all := versions()
	binary, err := build.buildAll(ctx, say, all)
	if err != nil {
		return err
	}
	endpoint, err := listen(ctx, f.awsListen)
	if err != nil {
		return err
	}
	account, err := openAccount(ctx, dir, "", "http://"+endpoint.Addr().String())
	if err != nil {
		return errors.Join(err, endpoint.Close())
	}
	defer func() { _ = account.Close() }()
	s, wait, err := raise(ctx, cancel, f, dir, account, endpoint, build.root, binary, all, say)
	if err != nil {
		return err
	}
	defer wait()
	defer cancel(nil)
	err = s.play(ctx, say)
	report(ctx, stdout, s)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	if err != nil {
		logTail(stdout, dir)
	}
	if !f.exitWhenDone && ctx.Err() == nil {
		fmt.Fprintf(stdout, "\nThe page is at http://%s, the account's endpoint at %s. Ctrl-C ends all.\n", s.page, s.teller.controller.endpoint)
		<-ctx.Done()
	}
	return err
}

// narrator writes lines with the time since the story began. It is safe for concurrent use.
func narrator(stdout io.Writer) func(string, ...any) {
	var mu sync.Mutex
	start := time.Now()
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		line := fmt.Sprintf(format, args...)
		if line == "" {
			fmt.Fprintln(stdout)
			return
		}
		fmt.Fprintf(stdout, "[%6.1fs] %s\n", time.Since(start).Seconds(), line)
	}
}

// raise starts the endpoint and the controller. wait returns when both have ended.
func raise(ctx context.Context, cancel context.CancelCauseFunc, f flags, dir string, account *sim.Account, endpoint net.Listener, root, binary string, all map[string]*version, say func(string, ...any)) (stage, func(), error) {
	page, err := listen(ctx, f.listen)
	if err != nil {
		return stage{}, nil, err
	}
	// Only the number is wanted: the controller opens its own page.
	if err := page.Close(); err != nil {
		return stage{}, nil, err
	}
	repository, err := newRepo(root, filepath.Join(dir, "repository"))
	if err != nil {
		return stage{}, nil, err
	}
	c := &controller{binary: binary, dir: dir, source: repository.dir, listen: page.Addr().String(), endpoint: "http://" + endpoint.Addr().String()}
	address, err := balancerAddress(ctx, account)
	if err != nil {
		return stage{}, nil, err
	}
	served, ran, killing := make(chan struct{}), make(chan struct{}), make(chan struct{})
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(served)
		if err := account.Serve(serving, endpoint); err != nil {
			cancel(err)
		}
	}()
	go func() {
		defer close(ran)
		if err := c.run(ctx); err != nil {
			cancel(err)
		}
	}()
	go func() {
		defer close(killing)
		killNowAndThen(ctx, f, c, say)
	}()
	t := &teller{say: say, controller: c, repo: repository, aws: account.AWSConfig(), versions: all}
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		c.listenTo(ctx, t.hear)
	}()
	wait := func() { <-listening; <-killing; <-ran; stopServing(); <-served }
	say("The account answers at %s, the page is at http://%s, the service will be at http://%s.", c.endpoint, c.listen, address)
	return stage{account: account, page: c.listen, teller: t, visitor: newVisitor("http://" + address)}, wait, nil
}

// killNowAndThen kills the controller at random moments where that was asked for.
func killNowAndThen(ctx context.Context, f flags, c *controller, say func(string, ...any)) {
	if f.killEvery <= 0 {
		return
	}
	random := rand.New(rand.NewPCG(f.killSeed, 0))
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration((0.5 + random.Float64()) * float64(f.killEvery))):
			say("   ✂ the controller is killed")
			c.kill()
		}
	}
}

// play tells every step, with the visitor's requests going on from the first good version to the end.
func (s stage) play(ctx context.Context, say func(string, ...any)) error {
	visiting, leave := context.WithCancel(ctx)
	gone := make(chan struct{})
	close(gone)
	defer func() { leave(); <-gone }()
	for i, step := range s.teller.steps() {
		if err := s.teller.tell(ctx, i+1, step); err != nil {
			return err
		}
		if i == 0 {
			say("   From now on a visitor sends %d requests a second through the load balancer.", time.Second/visitEvery)
			gone = make(chan struct{})
			go func() { defer close(gone); s.visitor.visit(visiting) }()
		}
	}
	leave()
	<-gone
	if failed := s.visitor.failed.Load(); failed > 0 {
		return fmt.Errorf("%d requests failed, such as %v", failed, s.visitor.reasons)
	}
	n, err := s.visitor.recount(ctx)
	if err != nil {
		return fmt.Errorf("count the orders: %w", err)
	}
	say("Each of the %d orders that were answered 201 is there once, and the kitchen has accepted it.", n)
	return nil
}

// report writes the table of rollouts and the line that counts.
func report(ctx context.Context, stdout io.Writer, s stage) {
	now, err := s.teller.controller.look(context.WithoutCancel(ctx))
	if err == nil {
		fmt.Fprintln(stdout)
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "#\tKIND\tVERSION\tRESULT\tTOOK\tMESSAGE")
		history := slices.Clone(now.History)
		slices.Reverse(history)
		for _, e := range history {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Number, e.Kind, e.Images, e.Result, e.EndedAt.Sub(e.StartedAt).Round(100*time.Millisecond), e.Message)
		}
		_ = w.Flush()
	}
	fmt.Fprintf(stdout, "\nfailed requests: %d of %d\n", s.visitor.failed.Load(), s.visitor.sent.Load())
}

// logTail shows the end of the controller's log when something did not come out as told.
func logTail(stdout io.Writer, dir string) {
	data, err := os.ReadFile(filepath.Join(dir, "controller.log"))
	if err != nil {
		return
	}
	const most = 4 << 10
	fmt.Fprintf(stdout, "\nthe end of the controller's log:\n%s\n", data[max(0, len(data)-most):])
}
