package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/rehearsal"
	"github.com/canteen/deploy/controller/rollout"
)

type planFlags struct {
	env, server, output string
	kinds               desired.Kinds
}

func newPlanCommand(kinds desired.Kinds) *cobra.Command {
	f := planFlags{kinds: kinds}
	cmd := &cobra.Command{
		Use:   "plan [PATH]",
		Short: "Show what would happen now if git asked for these files, and why; nothing is written",
		Long: "Plan lets the controller's own rules run ahead on an account that is only looked at. It says for each service what would be\n" +
			"done, what that changes, whether a migration runs, and what it waits for. PATH is the folder of one environment, the folder\n" +
			"that holds all of them (with --env), or a single file; by default desired/ENV.\n\n" +
			"Without --server it looks at the AWS account, with credentials found as by every AWS tool and with reading calls alone; what\n" +
			"was judged before is known as far as the account's tags tell. With --server it goes by the record and the last look of a\n" +
			"running controller, and needs no credentials.\n\n" +
			"The exit code is 0 where nothing would change, 3 where something would, 1 where a file is invalid or something could not be\n" +
			"found out, and 2 after a wrong call.",
		Example: "  controller plan --env dev\n  controller plan desired/prod/order-processing.yaml -o markdown\n  controller plan --env prod --server http://10.0.0.1:8080",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), append(args, "")[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.env, "env", "", "environment: the folder below desired/")
	flags.StringVar(&f.server, "server", "", "address of a running controller to ask instead of the account")
	flags.StringVarP(&f.output, "output", "o", "text", "text, json or markdown")
	return cmd
}

func (f planFlags) run(ctx context.Context, out io.Writer, path string) error {
	if !slices.Contains([]string{"text", "json", "markdown"}, f.output) {
		return usageError{fmt.Errorf("unknown output %q; write text, json or markdown", f.output)}
	}
	if f.server != "" {
		base, err := baseOf(f.server)
		if err != nil {
			return err
		}
		f.server = base
	}
	intent, err := f.read(path)
	if err != nil {
		return err
	}
	p, err := f.plan(ctx, intent)
	if err != nil {
		return err
	}
	if err := printPlan(out, p, f.output); err != nil {
		return fmt.Errorf("print the plan: %w", err)
	}
	switch {
	case p.Failed():
		return errInvalid
	case p.Changes():
		return errChanges
	}
	return nil
}

// intent is what is planned: the files of one environment, or one of them.
type intent struct {
	folder   string
	only     string // the one service, by the name of its file; empty for all
	snapshot *desired.Snapshot
}

// read finds the environment's folder and reads it.
func (f planFlags) read(path string) (intent, error) {
	folder, only, err := f.find(path)
	if err != nil {
		return intent{}, err
	}
	in := intent{folder: folder, only: only, snapshot: desired.Load(os.DirFS(folder), f.kinds)}
	if env := in.snapshot.Environment; f.env != "" && env != nil && env.Metadata.Name != f.env && filepath.Base(folder) != f.env {
		return intent{}, usageError{fmt.Errorf("%s is the environment %s, not %s; leave out --env or name another folder", folder, env.Metadata.Name, f.env)}
	}
	return in, nil
}

func (f planFlags) find(path string) (folder, only string, err error) {
	if path == "" {
		path = "desired"
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", usageError{fmt.Errorf("no file or folder %s: %w", path, bare(err))}
	}
	if !info.IsDir() {
		dir, name := filepath.Split(path)
		if filepath.Ext(name) != ".yaml" {
			return "", "", usageError{fmt.Errorf("%s is not a *.yaml file", path)}
		}
		if only = strings.TrimSuffix(name, ".yaml"); name == desired.EnvironmentFile {
			only = "" // it is about all of them
		}
		return filepath.Clean(dir), only, nil
	}
	folders, err := environments(path)
	switch {
	case err != nil:
		return "", "", err
	case slices.Equal(folders, []string{path}):
		return path, "", nil
	case f.env != "":
		folder = filepath.Join(path, f.env)
		if !slices.Contains(folders, folder) {
			return "", "", usageError{fmt.Errorf("%s holds no environment %s; it holds %s", path, f.env, names(folders))}
		}
		return folder, "", nil
	case len(folders) > 1:
		return "", "", usageError{fmt.Errorf("%s holds the environments %s; name one by --env", path, names(folders))}
	}
	return folders[0], "", nil
}

func names(folders []string) string {
	var out []string
	for _, f := range folders {
		out = append(out, filepath.Base(f))
	}
	return strings.Join(out, ", ")
}

// plan makes the plan; an error is one of which there is nothing to print but itself.
func (f planFlags) plan(ctx context.Context, in intent) (plan.Plan, error) {
	p := plan.Plan{At: time.Now(), Source: plan.SourceAccount, Services: []plan.Service{}, Invalid: in.others()}
	if f.server != "" {
		p.Source = plan.SourceController
	}
	env := in.snapshot.Environment
	if env == nil {
		p.Environment = filepath.Base(in.folder)
		for _, name := range in.invalid() {
			p.Services = append(p.Services, plan.Invalid(name, in.located(in.snapshot.Invalid[name])))
		}
		return p, nil
	}
	p.Environment, p.Account, p.Region = env.Metadata.Name, env.Spec.Account, env.Spec.Region
	if in.only != "" && in.snapshot.Services[in.only] == nil && in.snapshot.Invalid[in.only] == nil {
		return p, usageError{fmt.Errorf("%s.yaml is about no service", filepath.Join(in.folder, in.only))}
	}
	if f.server != "" {
		return f.fromController(ctx, in, p)
	}
	return fromAccount(ctx, in, p)
}

// others are the errors that are no service's, and the environment's.
func (in intent) others() []desired.Error {
	var out []desired.Error
	for _, e := range in.snapshot.Errors {
		service := strings.TrimSuffix(e.File, filepath.Ext(e.File))
		if slices.Contains(in.snapshot.Invalid[service], e) || in.only != "" && e.File != desired.EnvironmentFile {
			continue
		}
		out = append(out, e)
	}
	return in.located(out)
}

// located are errors under the path that the caller knows.
func (in intent) located(errs []desired.Error) []desired.Error {
	var v validation
	v.take(in.folder, errs)
	return v.Errors
}

func (in intent) invalid() []string {
	return slices.DeleteFunc(sortedNames(in.snapshot.Invalid), func(name string) bool { return in.only != "" && name != in.only })
}

// live is an account that can only be looked at.
type live struct{ *account.Account }

// Assumed implements rehearsal.Account: everything was looked at.
func (live) Assumed(string) []string { return nil }

func fromAccount(ctx context.Context, in intent, p plan.Plan) (plan.Plan, error) {
	spec := in.snapshot.Environment.Spec
	a, err := account.Connect(ctx, spec, client.Options{ReadOnly: true}, nil)
	if err != nil {
		return p, fmt.Errorf("connect to account %s: %w", spec.Account, err)
	}
	if err := a.CheckIdentity(ctx); err != nil {
		return p, err
	}
	p.Notes = []string{"The account was looked at; no controller was asked. Of the past it tells the last good revision, the newest rejection, the newest migration and what a breaking one " +
		"left behind, and nothing of what else is going on, of files that were removed, or of how long rollouts take. --server asks a controller."}
	r := rehearsal.New(live{a}, in.snapshot, nil)
	p.Services = append(p.Services, in.rehearse(ctx, r, func(string) []rollout.Entry { return nil })...)
	if note := p.MassNote(spec.MassChange); note != "" {
		p.Notes = append(p.Notes, note)
	}
	return p, ctx.Err()
}

// rehearse plans the services, each with what is known of its history.
func (in intent) rehearse(ctx context.Context, r *rehearsal.Rehearsal, history func(service string) []rollout.Entry) []plan.Service {
	var out []plan.Service
	for _, name := range r.Services() {
		if in.only != "" && name != in.only {
			continue
		}
		went := r.Service(ctx, name)
		went.Invalid = in.located(went.Invalid)
		s := plan.Of(went)
		if s.Kind == rollout.KindDeploy {
			went.History = history(name)
			s = plan.Of(went)
		}
		out = append(out, s)
	}
	return out
}

func printPlan(w io.Writer, p plan.Plan, output string) error {
	var err error
	switch output {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(p)
	case "markdown":
		_, err = io.WriteString(w, p.Markdown())
	default:
		_, err = io.WriteString(w, p.Text())
	}
	return err
}
