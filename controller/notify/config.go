package notify

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
)

// Kind is the kind of the file.
const Kind = "Notifications"

// Config is the file: who is told, and of what. It holds no secret, only where secrets are.
type Config struct {
	// APIVersion is deploy/v1.
	APIVersion string `json:"apiVersion"`
	// Kind is Notifications.
	Kind string `json:"kind"`
	// Page is the address of the controller's page, for links.
	Page string `json:"page,omitempty"`
	// BlockedAfter is how long what may pass by itself must last before it is told. Default 15m.
	BlockedAfter desired.Duration `json:"blockedAfter,omitempty"`
	// GiveUpAfter is how old a message may become while its receiver does not take it. Default 24h.
	GiveUpAfter desired.Duration `json:"giveUpAfter,omitempty"`
	// Outage is when the trouble of many services is told as one.
	Outage OutageSpec `json:"outage,omitzero"`
	// Receivers are who can be told, by name.
	Receivers map[string]Receiver `json:"receivers"`
	// Routes say who is told of what. A receiver is told once of what any of its routes matches.
	Routes []Route `json:"routes"`
}

// OutageSpec is when the trouble of many services is told as one.
type OutageSpec struct {
	// Services is how many must have the same trouble; in a smaller environment, all of at least two. Default 5.
	Services int `json:"services,omitempty"`
	// After is how long trouble must last to count. Default 2m.
	After desired.Duration `json:"after,omitempty"`
}

// Receiver is one of the three.
type Receiver struct {
	// Slack posts by Slack's Web API, one thread for each rollout.
	Slack *SlackSpec `json:"slack,omitempty"`
	// SlackWebhook posts to an incoming webhook of Slack, or of what understands its messages; without threads.
	SlackWebhook *SlackWebhookSpec `json:"slackWebhook,omitempty"`
	// Webhook posts JSON of Schema, signed.
	Webhook *WebhookSpec `json:"webhook,omitempty"`
}

// SlackSpec is a channel and a bot's token.
type SlackSpec struct {
	// Channel is the channel's id, such as C0123456789.
	Channel string `json:"channel"`
	// Token is where the bot's token is.
	Token Reference `json:"token"`
	// API is the address of the Web API. Default https://slack.com/api.
	API string `json:"api,omitempty"`
}

// SlackWebhookSpec is an incoming webhook.
type SlackWebhookSpec struct {
	// URL is where the webhook's address is, which lets whoever has it post.
	URL Reference `json:"url"`
}

// WebhookSpec is an address and the key of its signatures.
type WebhookSpec struct {
	// URL is where the address is.
	URL Reference `json:"url"`
	// Secret is where the key of the signatures is.
	Secret Reference `json:"secret"`
}

// Reference is where a secret is; exactly one of its members.
type Reference struct {
	// File is the path of a file that holds it.
	File string `json:"file,omitempty"`
	// Env is the environment variable that holds it.
	Env string `json:"env,omitempty"`
	// SecretsManager is the ARN of a secret in AWS Secrets Manager, with #key behind it for one member of a JSON object.
	SecretsManager string `json:"secretsManager,omitempty"`
}

// Route sends what it matches to a receiver.
type Route struct {
	// Receiver is one of receivers.
	Receiver string `json:"receiver"`
	// Severity is the least that matches: info, warning or critical. Default info.
	Severity Severity `json:"severity,omitempty"`
	// Events, where there are any, are the only ones that match.
	Events []Event `json:"events,omitempty"`
	// Labels must all be the service's. What is about the whole environment matches routes without labels only.
	Labels map[string]string `json:"labels,omitempty"`
}

// The defaults.
const (
	DefaultBlockedAfter   = 15 * time.Minute
	DefaultGiveUpAfter    = 24 * time.Hour
	DefaultOutageAfter    = 2 * time.Minute
	DefaultOutageServices = 5
	DefaultSlackAPI       = "https://slack.com/api"
)

var (
	receiverName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	channelID    = regexp.MustCompile(`^[CDG][A-Z0-9]{5,20}$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretARN    = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+(#.+)?$`)
)

// Parse reads the file, with every default filled in, or answers every error in order of position.
func Parse(file string, data []byte) (*Config, []desired.Error) {
	c := &Config{}
	errs := desired.Read(file, data, Kind, c, c.check)
	if len(errs) > 0 {
		return nil, errs
	}
	orElse(&c.BlockedAfter, desired.Duration(DefaultBlockedAfter))
	orElse(&c.GiveUpAfter, desired.Duration(DefaultGiveUpAfter))
	orElse(&c.Outage.After, desired.Duration(DefaultOutageAfter))
	orElse(&c.Outage.Services, DefaultOutageServices)
	for i := range c.Routes {
		orElse(&c.Routes[i].Severity, Info)
	}
	return c, nil
}

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// Settings are the times and numbers of the file.
func (c *Config) Settings() Settings {
	return Settings{BlockedAfter: c.BlockedAfter.Std(), OutageAfter: c.Outage.After.Std(), OutageServices: c.Outage.Services}
}

func (c *Config) check(report desired.Report) {
	if c.Page != "" && !webAddress(c.Page) {
		report("page must be an address such as https://deploy.example.com", "page")
	}
	for name, d := range map[string]desired.Duration{"blockedAfter": c.BlockedAfter, "giveUpAfter": c.GiveUpAfter} {
		if d < 0 {
			report(name+" must not be negative", name)
		}
	}
	if c.Outage.After < 0 {
		report("outage.after must not be negative", "outage", "after")
	}
	if c.Outage.Services < 0 || c.Outage.Services == 1 {
		report("outage.services must be at least 2", "outage", "services")
	}
	if len(c.Receivers) == 0 {
		report("receivers names nobody; write at least one", "receivers")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Receivers)) {
		if !receiverName.MatchString(name) {
			report("a receiver's name must be lower-case letters, digits and hyphens, at most 63", "receivers", name)
		}
		c.Receivers[name].check(report, "receivers", name)
	}
	if len(c.Routes) == 0 {
		report("routes has none; write at least one, such as [{receiver: NAME}]", "routes")
	}
	for i, r := range c.Routes {
		if _, ok := c.Receivers[r.Receiver]; !ok {
			report(fmt.Sprintf("routes[%d].receiver is none of receivers; write one of %s", i, strings.Join(slices.Sorted(maps.Keys(c.Receivers)), ", ")), "routes", fmt.Sprint(i), "receiver")
		}
	}
}

func (r Receiver) check(report desired.Report, path ...string) {
	n := 0
	if s := r.Slack; s != nil {
		n++
		if !channelID.MatchString(s.Channel) {
			report("slack.channel must be a channel's id, such as C0123456789; Slack shows it at the end of a channel's details", append(path, "slack", "channel")...)
		}
		if s.API != "" && !webAddress(s.API) {
			report("slack.api must be an address such as https://slack-gov.com/api", append(path, "slack", "api")...)
		}
		s.Token.check(report, append(path, "slack", "token")...)
	}
	if s := r.SlackWebhook; s != nil {
		n++
		s.URL.check(report, append(path, "slackWebhook", "url")...)
	}
	if s := r.Webhook; s != nil {
		n++
		s.URL.check(report, append(path, "webhook", "url")...)
		s.Secret.check(report, append(path, "webhook", "secret")...)
	}
	if n != 1 {
		report("a receiver must have exactly one of slack, slackWebhook, webhook", path...)
	}
}

func (r Reference) check(report desired.Report, path ...string) {
	n := 0
	for _, s := range []string{r.File, r.Env, r.SecretsManager} {
		if s != "" {
			n++
		}
	}
	switch {
	case n != 1:
		report("a secret must be referred to by exactly one of file, env, secretsManager; its value is never written here", path...)
	case r.Env != "" && !variableName.MatchString(r.Env):
		report("env must be the name of an environment variable, such as SLACK_TOKEN, and not its value", append(path, "env")...)
	case r.SecretsManager != "" && !secretARN.MatchString(r.SecretsManager):
		report("secretsManager must be the ARN of a secret, with #key behind it for one member of a JSON object", append(path, "secretsManager")...)
	case strings.Contains(r.File, "://"):
		report("file must be the path of a file that holds the secret, and not the secret", append(path, "file")...)
	}
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// routes reports whether the receiver is told of a message.
func (c *Config) routes(receiver string, m Message) bool {
	return slices.ContainsFunc(c.Routes, func(r Route) bool { return r.Receiver == receiver && r.matches(m) })
}

func (r Route) matches(m Message) bool {
	if m.Severity.rank() < r.Severity.rank() || len(r.Events) > 0 && !slices.Contains(r.Events, m.Event) {
		return false
	}
	for name, value := range r.Labels {
		if have, ok := m.Labels[name]; !ok || have != value {
			return false
		}
	}
	return true
}
