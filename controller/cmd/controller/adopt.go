package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"
	"time"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/adopt"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/plan"
)

type adoptFlags struct {
	env, cluster, service string
	name, stack, region   string
	directory             string
	stackTemplate         string
	repository            string
	print, rollout        bool
	kinds                 desired.Kinds
}

func newAdoptCommand(kinds desired.Kinds) *cobra.Command {
	f := adoptFlags{kinds: kinds}
	cmd := &cobra.Command{
		Use:   "adopt --env ENV --cluster CLUSTER --service SERVICE",
		Short: "Write the files of desired/ for an ECS service that runs already, such that nothing is rolled for them",
		Long: "Adopt looks at a service that somebody else rolled out, and writes DIRECTORY/ENV/SERVICE.yaml, and environment.yaml where there is\n" +
			"none: tag and digest of the image that runs, the env and secrets that the stack's template lacks, how it is rolled now. Before it\n" +
			"writes anything it plans them, and where the controller would do anything about the service it says what, and writes nothing. The\n" +
			"account is only read; a file that is there and says something else is never overwritten.\n\n" +
			"The stack is the one whose outputs ClusterName and ServiceName are about the service. Where there is none, --stack-template writes\n" +
			"a CloudFormation template of one: a template task definition like what runs, in a family of its own, and the outputs.",
		Example: "  controller adopt --env prod --cluster shop --service orders\n" +
			"  controller adopt --env prod --cluster shop --service orders --stack-template orders-deploy.json",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.env, "env", "", "environment: the folder below desired/")
	flags.StringVar(&f.cluster, "cluster", "", "the ECS cluster, by name or ARN")
	flags.StringVar(&f.service, "service", "", "the ECS service, by name or ARN")
	flags.StringVar(&f.name, "name", "", "what it is called in desired/ (default: as in ECS)")
	flags.StringVar(&f.stack, "stack", "", "its CloudFormation stack (default: the one whose outputs are about it)")
	flags.StringVar(&f.region, "region", "", "AWS region, where the environment has no file yet (environment: AWS_REGION)")
	flags.StringVarP(&f.directory, "directory", "C", "desired", "the folder of the environments")
	flags.StringVar(&f.stackTemplate, "stack-template", "", "write a CloudFormation template for a service that has no stack to this file, and nothing else")
	flags.StringVar(&f.repository, "repository", "", "with --stack-template: the ECR repository that git decides about, where the containers' images are of several")
	flags.BoolVar(&f.print, "print", false, "print the files instead of writing them")
	flags.BoolVar(&f.rollout, "accept-rollout", false, "write the files even where the controller would roll the service once")
	return cmd
}

func (f adoptFlags) run(ctx context.Context, out, notes io.Writer) error {
	f.cluster, f.service = lastOf(f.cluster), lastOf(f.service)
	f.name = cmp.Or(f.name, f.service)
	switch {
	case !isName(f.env):
		return usageError{errors.New("--env must name a folder of desired/, such as --env prod")}
	case f.cluster == "" || f.service == "":
		return usageError{errors.New("--cluster and --service must name what runs, such as --cluster shop --service orders")}
	case !isName(f.name):
		return usageError{fmt.Errorf("--name is %q; it must be a file's name without .yaml", f.name)}
	}
	env, there, err := f.environment()
	if err != nil {
		return err
	}
	a, env, err := f.connect(ctx, env, there)
	if err != nil {
		return err
	}
	r, err := a.Running(ctx, f.cluster, f.service, f.stack)
	if err != nil {
		return err
	}
	if why := r.Refusal(); why != "" {
		return fmt.Errorf("%s in cluster %s cannot be adopted: %s", f.service, f.cluster, why)
	}
	if f.stackTemplate != "" {
		return f.writeStack(out, r)
	}
	if r.Stack == "" {
		return fmt.Errorf("no stack of account %s, region %s, has the outputs ClusterName=%s and ServiceName=%s beside RepoUri, AppSubnetIds, EcsSecurityGroupId and TaskTemplate: "+
			"add them to the stack that made the service, or let --stack-template FILE write a stack beside it", r.Account, r.Region, f.cluster, f.service)
	}
	if why := r.Trouble(); why != "" {
		return fmt.Errorf("%s in cluster %s cannot be adopted: %s", f.service, f.cluster, why)
	}
	files := fstest.MapFS{f.name + ".yaml": {Data: r.File(f.name), Mode: 0o644}}
	if !there {
		files[desired.EnvironmentFile] = &fstest.MapFile{Data: r.Environment(f.env), Mode: 0o644}
	}
	planned, err := f.check(ctx, files)
	if err != nil {
		return err
	}
	if err := f.write(out, files); err != nil {
		return err
	}
	if planned.Changes() {
		fmt.Fprintf(notes, "note: The controller will do this for it:\n\n%s\n", planned.Text())
	}
	for _, note := range r.Notes() {
		fmt.Fprintln(notes, "note: "+note)
	}
	return nil
}

// lastOf is the name at the end of an ARN, or the name itself.
func lastOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func (f adoptFlags) folder() string { return filepath.Join(f.directory, f.env) }

// environment is the one that there is. One that is invalid says nothing of where to look.
func (f adoptFlags) environment() (env desired.EnvironmentSpec, there bool, err error) {
	path := filepath.Join(f.folder(), desired.EnvironmentFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		env.Region = cmp.Or(f.region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
		if env.Region == "" {
			return env, false, usageError{fmt.Errorf("there is no %s, so --region must say where the service runs", path)}
		}
		return env, false, nil
	}
	if err != nil {
		return env, false, fmt.Errorf("read %s: %w", path, bare(err))
	}
	loaded := desired.Load(fstest.MapFS{desired.EnvironmentFile: {Data: data, Mode: 0o644}}, f.kinds)
	if loaded.Environment == nil {
		e := loaded.Errors[0]
		return env, false, fmt.Errorf("%s:%d:%d: %s", path, e.Line, e.Col, e.Message)
	}
	if env = loaded.Environment.Spec; f.region != "" && f.region != env.Region {
		return env, false, usageError{fmt.Errorf("--region is %s, but %s says %s", f.region, path, env.Region)}
	}
	return env, true, nil
}

// connect opens the environment's account, or the one whose credentials these are.
func (f adoptFlags) connect(ctx context.Context, env desired.EnvironmentSpec, there bool) (*account.Account, desired.EnvironmentSpec, error) {
	open := func() (*account.Account, error) {
		return account.Connect(ctx, env, client.Options{ReadOnly: true}, nil)
	}
	a, err := open()
	if err != nil {
		return nil, env, err
	}
	if there {
		return a, env, a.CheckIdentity(ctx)
	}
	if env.Account, err = a.Identity(ctx); err != nil {
		return nil, env, err
	}
	a, err = open()
	return a, env, err
}

func (f adoptFlags) writeStack(out io.Writer, r adopt.Running) error {
	repository := f.repository
	if repository == "" {
		all := r.Repositories()
		if len(all) != 1 {
			return fmt.Errorf("the containers of %s have images of %d repositories of ECR (%s): name the one that git decides about by --repository", f.service, len(all), strings.Join(all, ", "))
		}
		repository = all[0]
	}
	if len(r.Owned(repository)) == 0 {
		return fmt.Errorf("no container of %s runs an image of %s", f.service, repository)
	}
	data, err := r.StackTemplate(repository)
	if err != nil {
		return err
	}
	name := cmp.Or(f.stack, f.name+"-deploy")
	if err := create(f.stackTemplate, data); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "wrote %s. It holds all that the task definition holds, plain values of variables included. Deploy it, then adopt the service:\n"+
		"  aws cloudformation deploy --region %s --stack-name %s --template-file %s\n", f.stackTemplate, r.Region, name, f.stackTemplate)
	return err
}

// create writes a new file; one that is there is left as it is.
func create(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return isThere(path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

func isThere(path string) error {
	return fmt.Errorf("%s is there already and says something else; it is left as it is. Remove it, or write another", path)
}

// check reads the files as the controller would, and plans them.
func (f adoptFlags) check(ctx context.Context, files fstest.MapFS) (plan.Plan, error) {
	tree := fstest.MapFS{}
	for name, file := range files {
		tree[name] = file
	}
	if tree[desired.EnvironmentFile] == nil {
		data, err := os.ReadFile(filepath.Join(f.folder(), desired.EnvironmentFile))
		if err != nil {
			return plan.Plan{}, fmt.Errorf("read the environment: %w", bare(err))
		}
		tree[desired.EnvironmentFile] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	snapshot := desired.Load(tree, f.kinds)
	if len(snapshot.Errors) > 0 {
		var all []string
		for _, e := range snapshot.Errors {
			all = append(all, e.Message)
		}
		return plan.Plan{}, fmt.Errorf("%s cannot be adopted, because git cannot ask for what runs: %s. Whatever the template has itself, git need not say", f.service, strings.Join(all, "; "))
	}
	in := intent{folder: f.folder(), only: f.name, snapshot: snapshot}
	p, err := fromAccount(ctx, in, plan.Plan{At: time.Now(), Source: plan.SourceAccount, Environment: f.env, Account: snapshot.Environment.Spec.Account, Region: snapshot.Environment.Spec.Region})
	if err != nil {
		return p, err
	}
	if p.Failed() || p.Changes() && !f.rollout {
		return p, fmt.Errorf("nothing is written, because something would be done for it. Make the stack's template like what runs, or write the files all the same with --accept-rollout:\n\n%s", p.Text())
	}
	return p, nil
}

// write writes the files, or prints them. Nothing is written where one of them is there and says something else.
func (f adoptFlags) write(out io.Writer, files fstest.MapFS) error {
	for _, name := range sortedNames(files) {
		path := filepath.Join(f.folder(), name)
		if have, err := os.ReadFile(path); err == nil && !f.print && !bytes.Equal(have, files[name].Data) {
			return isThere(path)
		}
	}
	for _, name := range sortedNames(files) {
		path, data := filepath.Join(f.folder(), name), files[name].Data
		if f.print {
			fmt.Fprintf(out, "# %s\n%s", path, data)
			continue
		}
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, data) {
			fmt.Fprintf(out, "%s says so already\n", path)
			continue
		}
		if err := os.MkdirAll(f.folder(), 0o755); err != nil {
			return fmt.Errorf("make the folder %s: %w", f.folder(), bare(err))
		}
		if err := create(path, data); err != nil {
			return err
		}
		fmt.Fprintf(out, "wrote %s\n", path)
	}
	return nil
}
