package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/server"
)

const (
	defaultServer = "http://127.0.0.1:8080"
	askTimeout    = 15 * time.Second
	answerMax     = 64 << 20 // bytes; ten thousand services are about 20 MB
	problemMax    = 1 << 20  // bytes
	redirectsMax  = 3
)

func newStatusCommand() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "status [SERVICE]",
		Short: "Show what runs, since when, why, and what comes next, as a running controller tells it",
		Long: "Ask a running controller for its services, worst first, or for one of them. With a SERVICE, json and yaml hold all that\n" +
			"the controller knows of it.",
		Example: "  controller status\n  controller status order-processing -o yaml\n  DEPLOY_SERVER=http://10.0.0.1:8080 controller status",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return q.answer(cmd, "/api/v1/services/"+url.PathEscape(args[0]), func(w io.Writer, body []byte) error {
					var s server.Service
					if err := json.Unmarshal(body, &s); err != nil {
						return err
					}
					return statusTable(w, []condition.Status{s.Status}, time.Now())
				})
			}
			return q.answer(cmd, "/api/v1/services", func(w io.Writer, body []byte) error {
				var all server.Services
				if err := json.Unmarshal(body, &all); err != nil {
					return err
				}
				return servicesTable(w, all)
			})
		},
	}
	q.flags(cmd)
	return cmd
}

// servicesTable prints all services, worst first, and what is wrong with git beside them.
func servicesTable(w io.Writer, all server.Services) error {
	rank := condition.Phases()
	slices.SortStableFunc(all.Services, func(a, b condition.Status) int {
		return slices.Index(rank, a.Phase) - slices.Index(rank, b.Phase)
	})
	if err := statusTable(w, all.Services, all.At); err != nil {
		return err
	}
	var lines []string
	for _, errs := range all.Repository.Invalid {
		for _, e := range errs {
			lines = append(lines, "invalid: "+e.Error())
		}
	}
	slices.Sort(lines)
	if e := all.Repository.Error; e != "" {
		lines = append(lines, "git cannot be fetched: "+e)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, oneLine(line)); err != nil {
			return err
		}
	}
	return nil
}

func statusTable(w io.Writer, services []condition.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tPHASE\tVERSION\tCOMMIT\tSINCE\tNEXT\tWHY")
	for _, s := range services {
		since := "-"
		if !s.Since.IsZero() {
			since = server.Age(now.Sub(s.Since))
		}
		row(t, s.Service, s.Phase.Glyph()+" "+string(s.Phase), server.Tags(s.Running), short(s.Running.Commit), since, server.Until(now, s.NextActionAt), s.Words())
	}
	return t.Flush()
}

// question is what every command that asks a running controller is told by its flags.
type question struct{ server, output string }

func (q *question) flags(cmd *cobra.Command) {
	q.address(cmd)
	cmd.Flags().StringVarP(&q.output, "output", "o", "table", "table, json or yaml")
}

func (q *question) address(cmd *cobra.Command) {
	address := os.Getenv("DEPLOY_SERVER")
	if address == "" {
		address = defaultServer
	}
	cmd.Flags().StringVar(&q.server, "server", address, "address of the controller (environment: DEPLOY_SERVER)")
}

// answer asks the controller and prints what it says; table prints it for people.
func (q *question) answer(cmd *cobra.Command, path string, table func(io.Writer, []byte) error) error {
	if !slices.Contains([]string{"table", "json", "yaml"}, q.output) {
		return usageError{fmt.Errorf("unknown output %q; write table, json or yaml", q.output)}
	}
	base, err := baseOf(q.server)
	if err != nil {
		return err
	}
	body, err := ask(cmd.Context(), base+path)
	if err != nil {
		return err
	}
	switch q.output {
	case "json":
		_, err = cmd.OutOrStdout().Write(body)
	case "yaml":
		if body, err = yaml.JSONToYAML(body); err == nil {
			_, err = cmd.OutOrStdout().Write(body)
		}
	default:
		err = table(cmd.OutOrStdout(), body)
	}
	if err != nil {
		return fmt.Errorf("print the answer of %s: %w", q.server, err)
	}
	return nil
}

// baseOf checks the address of a controller, and returns it without a slash at its end.
func baseOf(server string) (string, error) {
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return "", usageError{fmt.Errorf("--server %q is no address; write one such as %s", server, defaultServer)}
	}
	return strings.TrimSuffix(server, "/"), nil
}

// ask returns the JSON at an address of a controller's API.
func ask(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := open(ctx, address, "application/json")
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	at, _ := url.Parse(address) // it was asked
	body, err := io.ReadAll(io.LimitReader(answer, answerMax))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", at.Host, err)
	}
	if !json.Valid(body) {
		return nil, fmt.Errorf("%s answers something that is not JSON to %s; is it a controller?", at.Host, at.Path)
	}
	return body, nil
}

// asker follows nobody to another host: a controller sends nobody there, but a load balancer that wants a login does.
var asker = &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
	if req.URL.Hostname() != via[0].URL.Hostname() || len(via) > redirectsMax {
		return http.ErrUseLastResponse
	}
	return nil
}}

func isRedirect(code int) bool { return code >= 300 && code < 400 }

// open asks a controller's API and returns the body of an answer that is 200. The caller closes it.
func open(ctx context.Context, address, accept string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, usageError{err}
	}
	req.Header.Set("Accept", accept)
	res, err := asker.Do(req)
	if err != nil {
		// The method and the address in front of the cause say nothing new.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("no controller answers at %s: %w; start one, or name another by --server or DEPLOY_SERVER", req.URL.Host, err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	if to, err := res.Location(); err == nil && isRedirect(res.StatusCode) {
		return nil, fmt.Errorf("%s://%s asks for a login at %s; ask the controller's task itself, from inside its network, such as by --server http://10.0.0.1:8080", req.URL.Scheme, req.URL.Host, to.Host)
	}
	var p server.Problem
	if body, err := io.ReadAll(io.LimitReader(res.Body, problemMax)); err == nil && json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return nil, errors.New(oneLine(p.Detail))
	}
	return nil, fmt.Errorf("%s answers %s to %s; is it a controller?", req.URL.Host, res.Status, req.URL.Path)
}

// row prints the cells of one row; an empty cell is a dash, so that columns can be counted.
func row(w io.Writer, cells ...string) {
	for i, c := range cells {
		if c = oneLine(c); c == "" {
			c = "-"
		}
		cells[i] = c
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

// oneLine keeps what came from commits and logs from moving the cursor of whoever reads it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
}

func short(sha string) string { return sha[:min(7, len(sha))] }
