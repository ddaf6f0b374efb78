// Command worker is the canteen's order-processing service: `serve` takes orders over HTTP, `migrate` brings the
// database's schema up to date, `health` is the container's health check.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // schools have time zones, and a container from scratch has none

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// revision is the git commit, set by the linker: -ldflags "-X main.revision=…".
var revision string

func main() {
	collectLess(os.Getenv)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// collectLess lets the heap, which has a few megabytes in use, grow to five times that between two collections: by default the
// service would collect a hundred times a second, a tenth of its time under load. GOGC and GOMEMLIMIT still say otherwise.
func collectLess(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	env := environment{getenv: getenv, stdout: stdout}
	root := &cobra.Command{
		Use:           "worker",
		Short:         "The canteen's order-processing service",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(serveCommand(env), migrateCommand(env), healthCommand(env))
	if err := root.ExecuteContext(ctx); err != nil {
		log, logErr := newLogger(getenv("LOG_LEVEL"), stdout)
		if logErr != nil {
			fmt.Fprintln(stderr, logErr)
			return 1
		}
		log.Error("worker ended with an error", zap.Error(err))
		return 1
	}
	return 0
}

// environment is what a command sees of the process around it.
type environment struct {
	getenv func(string) string
	stdout io.Writer
}

func (e environment) logger() (*zap.Logger, error) { return newLogger(e.getenv("LOG_LEVEL"), e.stdout) }

// newLogger writes one JSON object a line. Nothing is sampled away: the controller searches these lines.
func newLogger(level string, out io.Writer) (*zap.Logger, error) {
	at := zapcore.InfoLevel
	if level != "" {
		if err := at.Set(level); err != nil {
			return nil, fmt.Errorf("LOG_LEVEL must be debug, info, warn or error, is %q", level)
		}
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.TimeKey = "time"
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(zapcore.AddSync(out)), at)
	return zap.New(core), nil
}

// version is the linked-in revision, else the commit that the go command recorded, else "unknown".
func version() string {
	if revision != "" {
		return revision
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return "unknown"
}
