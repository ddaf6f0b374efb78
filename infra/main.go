// Command infra is the CDK program of everything around the controller and the worker: one pair of stacks for the environment
// that the context names.
//
//	cdk synth -c env=ENV
//	CDK_OUTDIR=cdk.out CDK_CONTEXT_JSON='{"env":"ENV"}' infra
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	code := run()
	jsii.Close()
	os.Exit(code)
}

func run() int {
	app := newApp(nil, "")
	s, err := readSettings(func(key string) any { return app.Node().TryGetContext(&key) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "infra:", err)
		return 1
	}
	build(app, s)
	app.Synth(nil)
	return 0
}

// newApp makes an app whose templates do not depend on who synthesizes them: the CDK's command line would add paths and
// versions. Where outdir is empty, CDK_OUTDIR counts.
func newApp(context map[string]any, outdir string) awscdk.App {
	props := &awscdk.AppProps{
		AnalyticsReporting: jsii.Bool(false), TreeMetadata: jsii.Bool(false),
		PostCliContext: &map[string]any{"aws:cdk:enable-path-metadata": false, "aws:cdk:enable-asset-metadata": false,
			// What CloudFormation would refuse is an error here already.
			"@aws-cdk/core:validateAgainstDefaultRules": true},
	}
	if context != nil {
		props.Context = &context
	}
	if outdir != "" {
		props.Outdir = &outdir
	}
	return awscdk.NewApp(props)
}

// stacks are the two of one environment.
type stacks struct{ base, main awscdk.Stack }

// build makes the stacks of an environment. The base holds what must be there before the first image is pushed.
func build(app awscdk.App, s Settings) stacks {
	// The CDK would ask the account for its zones, although the network names its own: a synthesis asks nobody.
	app.Node().SetContext(text(fmt.Sprintf("availability-zones:account=%s:region=%s", s.Account, s.Region)), s.zones())
	props := func(description string) *awscdk.StackProps {
		return &awscdk.StackProps{
			Env:         &awscdk.Environment{Account: &s.Account, Region: &s.Region},
			Description: &description,
			Tags:        &map[string]*string{"system": text(system), "environment": text(s.Env)},
			// A stack that is deleted takes the database with it.
			TerminationProtection: jsii.Bool(true),
		}
	}
	base := awscdk.NewStack(app, text(s.baseStackName()), props("What must be there before the first image: registries, the pipeline's role, the parameter of the last good revision"))
	buildBase(base, s)
	main := awscdk.NewStack(app, text(s.stackName()), props("The order-processing service, its database and queue, and the controller that deploys it"))
	main.AddStackDependency(base, text("reads the parameter of the last good revision"))
	buildMain(main, s)
	return stacks{base: base, main: main}
}

// zones are the availability zones by their whole names.
func (s Settings) zones() []string {
	var zones []string
	for _, z := range s.Zones {
		zones = append(zones, s.Region+z)
	}
	return zones
}

// after makes a resource after others of its stack, where nothing in it refers to them but by name.
func after(stack awscdk.Stack, one awscdk.CfnResource, ids ...string) {
	for _, id := range ids {
		one.AddResourceDependency(stack.Node().FindChild(&id).(awscdk.CfnResource), text("is named, not referred to"))
	}
}
