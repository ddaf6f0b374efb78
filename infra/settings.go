package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Settings are everything in which environments differ. They come from the context, `environments.ENV`; what is left out has
// the value of defaults. README.md tells each of them.
type Settings struct {
	Env     string `json:"-"` // the context's `env`
	Account string `json:"account"`
	Region  string `json:"region"`
	// Folder below desired/ whose environment this is; empty: Env.
	Folder string `json:"folder"`

	Source string `json:"source"` // the git repository that the controller follows, over https
	Branch string `json:"branch"`
	GitHub string `json:"github"` // owner/name of the repository whose workflows may take the deploy role
	// GitHubIDs are of the same repository, where its tokens have them in their subject; then no token without them is trusted.
	GitHubIDs GitHubIDs `json:"githubIds"`

	ImagesReadBy []string `json:"imagesReadBy"` // accounts that images are promoted to from here
	ImagesFrom   []string `json:"imagesFrom"`   // accounts that images are promoted from to here

	Cidr        string   `json:"cidr"`
	Zones       []string `json:"zones"`  // letters of availability zones
	Egress      string   `json:"egress"` // nat or endpoints
	NatGateways int      `json:"natGateways"`
	Certificate string   `json:"certificate"` // ARN, for the load balancers

	Template   TemplateSettings   `json:"template"`
	Database   DatabaseSettings   `json:"database"`
	Queue      QueueSettings      `json:"queue"`
	Alarms     AlarmSettings      `json:"alarms"`
	Controller ControllerSettings `json:"controller"`
	LogDays    int                `json:"logDays"`
}

// GitHubIDs are numbers that GitHub never gives twice, as a name may be. Repositories made, renamed or transferred since 15 July 2026
// have them in their tokens, and older ones that chose so.
type GitHubIDs struct {
	Owner      int `json:"owner"`
	Repository int `json:"repository"`
}

// TemplateSettings are of the worker's tasks.
type TemplateSettings struct {
	Cpu    int `json:"cpu"`    // units, 1024 are one vCPU
	Memory int `json:"memory"` // MiB
	// Secrets and Parameters are names, without the stack's before them, of what git refers to beside the database's secret. They
	// are made by hand.
	Secrets    []string `json:"secrets"`
	Parameters []string `json:"parameters"`
}

// DatabaseSettings are of the PostgreSQL instance.
type DatabaseSettings struct {
	Instance           string `json:"instance"` // class and size, such as t4g.micro
	StorageGiB         int    `json:"storageGiB"`
	MaxStorageGiB      int    `json:"maxStorageGiB"`
	MultiZone          bool   `json:"multiZone"`
	BackupDays         int    `json:"backupDays"`
	DeletionProtection bool   `json:"deletionProtection"`
	RotationDays       int    `json:"rotationDays"`
	BootstrapImage     string `json:"bootstrapImage"` // has psql; makes the application's user once
}

// QueueSettings are of the queue of orders.
type QueueSettings struct {
	VisibilitySeconds int `json:"visibilitySeconds"`
	Attempts          int `json:"attempts"` // then a message is a dead letter
}

// AlarmSettings are the thresholds.
type AlarmSettings struct {
	Errors5xx       int `json:"errors5xx"` // a minute
	CpuPercent      int `json:"cpuPercent"`
	StorageGiB      int `json:"storageGiB"` // free
	Connections     int `json:"connections"`
	QueueAgeSeconds int `json:"queueAgeSeconds"`
}

// ControllerSettings are of the controller's own service.
type ControllerSettings struct {
	Image  string `json:"image"` // tag, or sha256:… digest, in the controller's repository
	Cpu    int    `json:"cpu"`
	Memory int    `json:"memory"`
	Host   string `json:"host"`  // name that the page is reached by
	Tells  bool   `json:"tells"` // GitHub what became of each commit, by the token that also reads
	// Notify says who is told of what, as docs/notifications.md has it, in JSON. What the controller needs to read of it follows.
	Notify *Notifications `json:"notify"`
	Otlp   string         `json:"otlp"` // address of a collector that is told a trace of each rollout
	Oidc   OidcSettings   `json:"oidc"`
}

// OidcSettings say who logs people in to the controller's page. Endpoints that are left out are the issuer's with /authorize,
// /token and /userinfo.
type OidcSettings struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization"`
	Token         string `json:"token"`
	UserInfo      string `json:"userInfo"`
	ClientID      string `json:"clientId"`
}

func defaults() Settings {
	return Settings{
		Source: "https://github.com/canteen/deploy", Branch: "main", GitHub: "canteen/deploy",
		Cidr: "10.20.0.0/16", Zones: []string{"a", "b"}, Egress: egressNat, NatGateways: 1, LogDays: 30,
		Template: TemplateSettings{Cpu: 256, Memory: 512},
		Database: DatabaseSettings{
			Instance: "t4g.micro", StorageGiB: 20, MaxStorageGiB: 100, BackupDays: 7, DeletionProtection: true, RotationDays: 30,
			BootstrapImage: "public.ecr.aws/docker/library/postgres:17",
		},
		Queue:      QueueSettings{VisibilitySeconds: 60, Attempts: 5},
		Alarms:     AlarmSettings{Errors5xx: 5, CpuPercent: 80, StorageGiB: 4, Connections: 80, QueueAgeSeconds: 600},
		Controller: ControllerSettings{Cpu: 256, Memory: 512},
	}
}

// The values of Settings.Egress.
const (
	egressNat       = "nat"       // private subnets reach everything through a NAT gateway
	egressEndpoints = "endpoints" // tasks reach AWS through endpoints and nothing else; the controller its git host by NAT
)

// Context is what is read of the CDK context; absent keys are nil.
type Context func(key string) any

//go:embed cdk.json
var cdkJSON []byte

// readSettings reads the context. `env` names the environment. `environments` has all of them; where the context has none,
// as when the built program runs without the CDK's command line, cdk.json's count.
func readSettings(context Context) (Settings, error) {
	env, _ := context("env").(string)
	all, err := environments(context)
	if err != nil {
		return Settings{}, err
	}
	known := strings.Join(slices.Sorted(maps.Keys(all)), ", ")
	if env == "" {
		return Settings{}, fmt.Errorf("the context has no env: write -c env=ENV, where ENV is one of %s", known)
	}
	raw, ok := all[env]
	if !ok {
		return Settings{}, fmt.Errorf("environment %q is not among the context's environments: it has %s", env, known)
	}
	s := defaults()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Settings{}, fmt.Errorf("environments.%s: %w", env, err)
	}
	s.Env = env
	if s.Folder == "" {
		s.Folder = env
	}
	s.Controller.Oidc = s.Controller.Oidc.complete()
	if err := s.check(); err != nil {
		return Settings{}, fmt.Errorf("environments.%s: %w", env, err)
	}
	return s, nil
}

func environments(context Context) (map[string]json.RawMessage, error) {
	given := context("environments")
	if given == nil {
		var file struct{ Context map[string]any }
		if err := json.Unmarshal(cdkJSON, &file); err != nil {
			return nil, fmt.Errorf("cdk.json: %w", err)
		}
		given = file.Context["environments"]
	}
	text, err := json.Marshal(given)
	if err != nil {
		return nil, fmt.Errorf("environments: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("environments must be an object of environments by name: %w", err)
	}
	return all, nil
}

func (o OidcSettings) complete() OidcSettings {
	for _, e := range []struct {
		at   *string
		path string
	}{{&o.Authorization, "/authorize"}, {&o.Token, "/token"}, {&o.UserInfo, "/userinfo"}} {
		if *e.at == "" {
			*e.at = strings.TrimSuffix(o.Issuer, "/") + e.path
		}
	}
	return o
}

var (
	envForm     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,13}$`) // names of load balancers end at 32 characters
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	imageForm   = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$`)
	githubForm  = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
)

// check answers everything that is wrong.
func (s Settings) check() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	must(envForm.MatchString(s.Env), "the name must be at most 14 small letters, digits and hyphens")
	must(accountForm.MatchString(s.Account), "account must be 12 digits, is %q", s.Account)
	must(s.Region != "", "region must be written, such as eu-central-1")
	must(strings.HasPrefix(s.Source, "https://"), "source must be an https:// address: the controller reaches nothing but port 443, is %q", s.Source)
	must(githubForm.MatchString(s.GitHub), "github must be owner/name, is %q; write ids as githubIds", s.GitHub)
	must(s.GitHubIDs == GitHubIDs{} || s.GitHubIDs.Owner > 0 && s.GitHubIDs.Repository > 0, "githubIds must have owner and repository, both of them numbers of GitHub's, or be left out")
	for _, account := range slices.Concat(s.ImagesReadBy, s.ImagesFrom) {
		must(accountForm.MatchString(account) && account != s.Account, "imagesReadBy and imagesFrom must name other accounts by 12 digits, have %q", account)
	}
	must(len(s.Zones) >= 2, "zones must name at least two availability zones: load balancers and databases need them")
	must(s.Egress == egressNat || s.Egress == egressEndpoints, "egress must be nat or endpoints, is %q", s.Egress)
	must(s.NatGateways >= 1, "natGateways must be at least 1: the controller reaches its git host through one")
	must(strings.HasPrefix(s.Certificate, "arn:"), "certificate must be the ARN of a certificate in ACM")
	must(imageForm.MatchString(s.Controller.Image), "controller.image must be a tag or a sha256: digest of the controller's repository, is %q", s.Controller.Image)
	must(s.Controller.Host != "", "controller.host must be the name that the certificate has for the controller's page")
	must(strings.HasPrefix(s.Controller.Oidc.Issuer, "https://") && s.Controller.Oidc.ClientID != "", "controller.oidc must have issuer (https://…) and clientId: nobody sees the page without a login")
	must(s.Controller.Otlp == "" || strings.HasPrefix(s.Controller.Otlp, "https://"), "controller.otlp must be an https:// address: the controller reaches nothing but port 443, is %q", s.Controller.Otlp)
	for _, err := range s.Controller.Notify.check() {
		must(false, "controller.notify: %w", err)
	}
	must(s.Database.BackupDays >= 1, "database.backupDays must be at least 1: without backups there is no way back to a point in time")
	must(retention(s.LogDays) != "", "logDays must be one of %v", slices.Sorted(maps.Keys(retentions)))
	return errors.Join(wrong...)
}
