package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is shorter than the 5 s that ECS and Docker give a check, so that its reason gets through.
const healthTimeout = 3 * time.Second

func healthCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask the server on this machine whether it lives: exit 0 if it does",
		Long: "Ask the server on this machine whether it lives: exit 0 if it does. It is the container's health check, for which a task\n" +
			"is killed; so it asks nothing of the database, which a new process would not mend.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			port, err := number(env.getenv, "PORT", 8080, 1, 65535)
			if err != nil {
				return err
			}
			return health(cmd.Context(), "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port))+"/live")
		},
	}
}

func health(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	// A transport of its own: a proxy from the environment would answer for the server.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(answer.Body, 1024)) // half a reason is better than none
		return fmt.Errorf("health: %s answered %s: %s", url, answer.Status, strings.TrimSpace(string(reason)))
	}
	return nil
}
