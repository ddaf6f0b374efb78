package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/githost"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/dynamo"
	"github.com/canteen/deploy/controller/ledger/lease"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
	"github.com/canteen/deploy/controller/trace"
)

// version and revision are set by the linker: -X main.version=… -X main.revision=…
var (
	version  = "dev"
	revision = ""
)

// webhookSecretEnv names the variable with the secret that GitHub signs its deliveries with.
const webhookSecretEnv = "DEPLOY_WEBHOOK_SECRET"

type runFlags struct {
	env, ledger, listen   string
	git                   gitrepo.Config
	poll                  time.Duration
	pace                  rollout.Pace
	workers               int
	limits                map[string]client.Bucket
	share                 float64
	webhookSecretFile     string
	events                string
	peerTexts, limitTexts []string
	peers                 []server.Peer // read by check
	page                  string
	host                  githost.Options
	notify                string
	otlp                  string
	logFormat, logLevel   string
}

func newRunCommand() *cobra.Command {
	f := runFlags{limits: map[string]client.Bucket{}}
	cmd := &cobra.Command{
		Use:   "run --env ENV --source PATH-OR-URL",
		Short: "Keep an account as git asks, until it is told to stop",
		Long: "Run follows one branch of one repository and keeps the account that desired/ENV/environment.yaml names as the files beside it ask.\n" +
			"Credentials are found as by every AWS tool (environment, task role, profile). It ends cleanly on SIGTERM and goes on where it was.\n" +
			"With --ledger dynamodb:TABLE any number of controllers may run: one of them acts, the others tell what it does and take over\n" +
			"when it ends.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			collectMore(os.Getenv)
			go giveBack(cmd.Context())
			return runController(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.env, "env", "", "environment: the folder below desired/")
	flags.StringVar(&f.git.Source, "source", "", "repository: a local path, https://… or ssh://…")
	flags.StringVar(&f.git.Branch, "branch", "main", "branch to follow")
	flags.StringVar(&f.git.Auth.TokenFile, "git-token-file", "", "file with the token for https")
	flags.StringVar(&f.git.Auth.TokenEnv, "git-token-env", "", "environment variable with the token for https")
	flags.StringVar(&f.git.Auth.SSHKeyFile, "ssh-key", "", "deploy key for ssh")
	flags.StringVar(&f.git.Auth.SSHKnownHosts, "ssh-known-hosts", "", "known_hosts file for ssh")
	flags.StringVar(&f.ledger, "ledger", "", "file that remembers rollouts, or dynamodb:TABLE for several controllers on one ledger (default deploy-ENV.db)")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of page, API and metrics; empty for none")
	flags.StringVar(&f.webhookSecretFile, "webhook-secret-file", "", "file with the secret of /webhook/github (or the variable "+webhookSecretEnv+")")
	flags.StringArrayVar(&f.peerTexts, "peer", nil, "controller of another environment, as NAME=URL, in the order of a change's way; may be given again")
	flags.StringVar(&f.events, "events", "", "URL of an SQS queue with EventBridge's events of ECS and CloudWatch alarms: what they are about is looked at at once")
	hostFlags(flags, &f.host)
	flags.StringVar(&f.page, "page-url", os.Getenv(pageEnv), "address under which people reach the page, for links to evidence (environment: "+pageEnv+")")
	flags.StringVar(&f.notify, "notify", "", "file that says who is told of what, in Slack and by webhooks, or env:NAME where an environment variable has its text")
	flags.StringVar(&f.otlp, "otlp", "", "address of an OpenTelemetry collector that is told a trace of each rollout by OTLP over HTTP, such as http://localhost:4318")
	flags.DurationVar(&f.poll, "poll", app.DefaultPoll, "time between two looks at git")
	flags.DurationVar(&f.pace.Watch, "watch", app.DefaultWatch, "time between two looks at a service that is rolling")
	flags.DurationVar(&f.pace.Idle, "resync", app.DefaultIdle, "time between two looks at a settled service")
	flags.IntVar(&f.workers, "workers", app.DefaultWorkers, "services that are looked at in the same moment")
	flags.Float64Var(&f.share, "api-share", 0.4, "share of AWS's request budgets that the controller takes, above 0 to 1")
	flags.StringArrayVar(&f.limitTexts, "api-limit", nil, "AWS's limit where this account has another one, as BUDGET=BURST/REFILL, such as \"ecs service modify=100/10\"; may be given again")
	flags.StringVar(&f.logFormat, "log", "json", "format of the log: json or console")
	flags.StringVar(&f.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
	return cmd
}

// check returns what is wrong with the call.
func (f *runFlags) check() error {
	switch {
	case f.env == "" || strings.ContainsAny(f.env, `/\`) || f.env == "..":
		return usageError{errors.New("--env must name a folder of desired/, such as --env dev")}
	case f.git.Source == "":
		return usageError{errors.New("--source must name the repository: a path, https://… or ssh://…")}
	case f.poll < time.Second || f.pace.Watch < 100*time.Millisecond || f.pace.Idle < time.Second:
		return usageError{errors.New("--poll and --resync must be at least 1s, --watch at least 100ms")}
	case f.workers < 1 || f.workers > 256:
		return usageError{errors.New("--workers must be 1 to 256")}
	case f.share <= 0 || f.share > 1:
		return usageError{errors.New("--api-share must be above 0 and at most 1")}
	case f.ledger == tablePrefix:
		return usageError{errors.New("--ledger dynamodb: must name a table, such as --ledger dynamodb:deploy-ledger")}
	}
	for _, text := range f.limitTexts {
		name, limit, err := client.ParseBucket(text)
		if err != nil {
			return usageError{fmt.Errorf("--api-limit: %w", err)}
		}
		f.limits[name] = limit
	}
	for _, text := range f.peerTexts {
		p, err := server.ParsePeer(text)
		if err != nil {
			return usageError{fmt.Errorf("--peer: %w", err)}
		}
		f.peers = append(f.peers, p)
	}
	if f.events != "" {
		if err := events.CheckURL(f.events); err != nil {
			return usageError{fmt.Errorf("--events: %w", err)}
		}
	}
	if f.otlp != "" {
		address, err := trace.Address(f.otlp)
		if err != nil {
			return usageError{fmt.Errorf("--otlp: %w", err)}
		}
		f.otlp = address
	}
	if f.ledger == "" {
		f.ledger = "deploy-" + f.env + ".db"
	}
	f.git.Folder = path.Join("desired", f.env)
	return nil
}

func runController(ctx context.Context, f runFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	log, err := newLogger(f.logFormat, f.logLevel)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // stderr cannot be synced on every system
	secret, err := webhookSecret(f.webhookSecretFile)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	shared, mayWrite, err := f.shared(ctx, log)
	if err != nil {
		return err
	}
	speaker, err := f.speaker(log, registry)
	if err != nil {
		return err
	}
	var listener *events.Listener
	var told account.Told // stays nil, not a nil listener
	if f.events != "" {
		listener = events.New(f.events, log)
		told = listener
	}
	clock := client.NewClock(nil)
	notifier, err := f.notifier(clock.Now, registry, log)
	if err != nil {
		return err
	}
	tracer, err := f.tracer(ctx, registry, log)
	if err != nil {
		return err
	}
	cfg := app.Config{
		Env: f.env, Shared: shared, Git: f.git, Ledger: f.ledger, Poll: f.poll, Pace: f.pace, Workers: f.workers, WebhookSecret: secret,
		Build: status.Build{Version: version, Revision: buildRevision()}, Registry: registry, Log: log, Clock: clock.Now, Events: listener, Peers: f.peers, GitHost: speaker, Notify: notifier, Trace: tracer,
		Connect: func(ctx context.Context, env desired.EnvironmentSpec) (app.Account, error) {
			return account.Connect(ctx, env, client.Options{BurstShare: f.share, RefillShare: f.share, Buckets: f.limits, Registerer: registry, MayWrite: mayWrite, Clock: clock}, told)
		},
	}
	if f.listen != "" {
		if cfg.Listener, err = net.Listen("tcp", f.listen); err != nil {
			return fmt.Errorf("listen on %s: %w; name another address with --listen", f.listen, err)
		}
		f.listen = cfg.Listener.Addr().String() // port 0 has become a real one
	}
	a, err := app.New(cfg)
	switch {
	case fault.CodeOf(err) == gitrepo.CodeConfig:
		return usageError{err}
	case err != nil:
		return err
	}
	log.Info("starting", zap.String("environment", f.env), zap.String("version", version), zap.String("listen", f.listen), zap.String("ledger", f.ledger))
	if err := a.Run(ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// tablePrefix tells a table from a file.
const tablePrefix = "dynamodb:"

// shared opens the ledger of several controllers, where one is named, and answers who is asked before each write. For a
// file it checks that the file will be there when the next controller starts.
func (f *runFlags) shared(ctx context.Context, log *zap.Logger) (*app.Shared, func() (time.Time, error), error) {
	name, ok := strings.CutPrefix(f.ledger, tablePrefix)
	if !ok {
		return nil, nil, ledger.CheckDisk(f.ledger, os.Getenv, ledger.Mounts)
	}
	table, err := dynamo.Connect(ctx, dynamo.Options{Table: name, Environment: f.env})
	if err != nil {
		return nil, nil, err
	}
	keeper := lease.New(table, owner(), log)
	return &app.Shared{Table: table, Lease: keeper}, keeper.MayWrite, nil
}

// owner names this process in the lease: where it runs, for people, and a word that no other one has.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "controller"
	}
	return host + "-" + strings.ToLower(rand.Text()[:6])
}

func webhookSecret(file string) (string, error) {
	if file == "" {
		return os.Getenv(webhookSecretEnv), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the webhook's secret: %w", err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("the webhook's secret file %s is empty", file)
	}
	return secret, nil
}

// newLogger writes to standard error, so that standard output stays free.
func newLogger(format, level string) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, usageError{fmt.Errorf("--log-level %q is not a level; write debug, info, warn or error", level)}
	}
	var cfg zap.Config
	switch format {
	case "json":
		cfg = zap.NewProductionConfig()
		cfg.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
		cfg.EncoderConfig.TimeKey = "time"
	case "console":
		cfg = zap.NewDevelopmentConfig()
		cfg.EncoderConfig.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	default:
		return nil, usageError{fmt.Errorf("--log %q is not a format; write json or console", format)}
	}
	cfg.Level = zap.NewAtomicLevelAt(at)
	cfg.Sampling, cfg.DisableStacktrace, cfg.DisableCaller = nil, true, true
	return cfg.Build()
}

// buildRevision is the commit that the program was built of, as far as it is known.
func buildRevision() string {
	if revision != "" {
		return revision
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
