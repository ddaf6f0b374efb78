// Command controller makes one AWS account agree with what git asks of it. Its exit code is 0 when all is well, 1 when something
// is wrong with what it was given or what it did, 2 when it was called wrongly, and 3 when plan has found changes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/strategy"
	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// usageError is a wrong call, as against a right call that found something wrong.
type usageError struct{ error }

// errInvalid ends a command whose output has already said everything.
var errInvalid = errors.New("invalid")

// errChanges ends a plan that has printed changes.
var errChanges = errors.New("changes")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "controller: %v\nsee controller --help\n", err)
		return 2
	case errors.Is(err, errChanges):
		return 3
	case !errors.Is(err, errInvalid):
		fmt.Fprintf(stderr, "controller: %v\n", err)
	}
	return 1
}

func newRootCommand() *cobra.Command {
	kinds := desired.Kinds{Checks: health.Kinds(), Strategies: strategy.Kinds()}
	root := &cobra.Command{
		Use:           "controller",
		Short:         "Make an AWS account agree with what git asks of it",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newRunCommand(), newValidateCommand(kinds), newPlanCommand(kinds), newSchemaCommand(kinds), newStatusCommand(), newHistoryCommand(),
		newHealthCommand(), newAdoptCommand(kinds), newSetImageCommand(kinds), newPromoteCommand(kinds),
		newSetControllerCommand(), newImagesCommand(kinds), newNotifyCommand())
	return root
}

// arguments turns a complaint about the arguments into a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
