package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is shorter than the 5 s that ECS and Docker give a container's check by default, so that the reason gets through.
const healthTimeout = 3 * time.Second

func newHealthCommand() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the controller on this machine whether it answers: exit 0 if it does (a container's health check)",
		Long: "Health asks /healthz, which says whether a restart would help. It is no question of git or AWS: a controller that waits for\n" +
			"them is well. A controller at another address than the default one is named by --server or DEPLOY_SERVER.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := baseOf(q.server)
			if err != nil {
				return err
			}
			return healthy(cmd.Context(), base)
		},
	}
	q.address(cmd)
	return cmd
}

// healthy returns nil if the controller at the address answers /healthz with 200 within 3 s.
func healthy(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return usageError{err}
	}
	// A transport of its own, and no redirects: a proxy from the environment or a page to log in would answer for the controller.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: asker.CheckRedirect}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for health: %s answers %s", req.URL, res.Status)
	}
	return nil
}
