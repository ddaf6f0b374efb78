package account

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/desired"
)

// DefaultBatchWait joins the looks of workers that come in the same moment; nobody notices so short a delay.
const DefaultBatchWait = 10 * time.Millisecond

// Connect opens the environment's account with the credentials that the process was given, as every AWS tool finds them:
// environment variables, the task's role, a profile. An endpoint given the same way (AWS_ENDPOINT_URL) is used. It asks
// nobody anything yet. Told, where not nil, is as in Options.
func Connect(ctx context.Context, env desired.EnvironmentSpec, opts client.Options, told Told) (*Account, error) {
	// The SDK's own logger writes plain lines between whatever else is on standard error; what matters it returns.
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(env.Region), config.WithLogger(logging.Nop{}))
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	own := Options{Account: env.Account, Region: env.Region, BatchWait: DefaultBatchWait, Told: told}
	if opts.Clock != nil {
		own.Clock = opts.Clock.Now
	}
	return New(client.New(cfg, opts), own), nil
}
