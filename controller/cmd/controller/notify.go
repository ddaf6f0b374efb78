package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/notify"
)

// notifyConfig reads the file that says who is told of what. A container that has no file of its own has the text in an environment
// variable, which is named as env:NAME.
func notifyConfig(file string) (*notify.Config, error) {
	data, err := notifyText(file)
	if err != nil {
		return nil, fmt.Errorf("read who is told of what: %w", err)
	}
	c, errs := notify.Parse(file, data)
	if len(errs) > 0 {
		all := make([]error, len(errs))
		for i, e := range errs {
			all[i] = e
		}
		return nil, errors.Join(all...)
	}
	return c, nil
}

func notifyText(file string) ([]byte, error) {
	variable, is := strings.CutPrefix(file, "env:")
	if !is {
		return os.ReadFile(file)
	}
	text := os.Getenv(variable)
	if text == "" {
		return nil, fmt.Errorf("the environment variable %q is not set, or is empty", variable)
	}
	return []byte(text), nil
}

// notifier is nil where no file is named.
func (f *runFlags) notifier(clock func() time.Time, registry *prometheus.Registry, log *zap.Logger) (*notify.Notifier, error) {
	if f.notify == "" {
		return nil, nil
	}
	c, err := notifyConfig(f.notify)
	if err != nil {
		return nil, err
	}
	return notify.New(notify.Options{Environment: f.env, Config: c, Secrets: account.SecretValue, Clock: clock, Registry: registry, Log: log}), nil
}

func newNotifyCommand() *cobra.Command {
	var file, env string
	parent := &cobra.Command{Use: "notify", Short: "Try who is told of what", Args: arguments(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	test := &cobra.Command{
		Use:   "test --notify FILE RECEIVER",
		Short: "Send one test message to a receiver",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usageError{errors.New("--notify must name the file that says who is told of what")}
			}
			c, err := notifyConfig(file)
			if err != nil {
				return err
			}
			if _, ok := c.Receivers[args[0]]; !ok {
				return usageError{fmt.Errorf("%s names no receiver %q", file, args[0])}
			}
			if err := notify.Try(cmd.Context(), args[0], notify.Options{Environment: env, Config: c, Secrets: account.SecretValue, Log: zap.NewNop()}); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has taken the message\n", args[0])
			return nil
		},
	}
	test.Flags().StringVar(&file, "notify", "", "file that says who is told of what, or env:NAME where an environment variable has its text")
	test.Flags().StringVar(&env, "env", "test", "environment that the message names")
	parent.AddCommand(test)
	return parent
}
