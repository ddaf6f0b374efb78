package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/server"
)

func newHistoryCommand() *cobra.Command {
	var q question
	var limit int
	cmd := &cobra.Command{
		Use:     "history SERVICE",
		Short:   "Show a service's finished rollouts, newest first, as a running controller tells them",
		Long:    "Ask a running controller for the finished rollouts of a service. The evidence of those that failed is in json and yaml.",
		Example: "  controller history order-processing --limit 5\n  controller history order-processing -o json",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usageError{fmt.Errorf("--limit is %d; it must be at least 1", limit)}
			}
			path := "/api/v1/services/" + url.PathEscape(args[0]) + "/history?limit=" + strconv.Itoa(limit)
			return q.answer(cmd, path, func(w io.Writer, body []byte) error {
				var h server.History
				if err := json.Unmarshal(body, &h); err != nil {
					return err
				}
				return historyTable(w, h)
			})
		},
	}
	q.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 20, "how many rollouts, at most 500")
	return cmd
}

func historyTable(w io.Writer, h server.History) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "#\tKIND\tCOMMIT\tVERSION\tRESULT\tSTARTED\tTOOK\tMESSAGE")
	for _, e := range h.Entries {
		row(t, strconv.Itoa(e.Number), string(e.Kind), e.Commit.Short(), strings.Join(e.Images, " "), string(e.Result),
			e.StartedAt.UTC().Format("2006-01-02 15:04:05Z"), server.Age(e.EndedAt.Sub(e.StartedAt)), e.Message)
	}
	return t.Flush()
}
