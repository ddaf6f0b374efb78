package desired

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// stackPattern: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html (StackName)
	stackPattern = regexp.MustCompile(`^[A-Za-z][-A-Za-z0-9]{0,127}$`)
	// containerPattern: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html (name)
	containerPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	// tagPattern: https://docs.docker.com/reference/cli/docker/image/tag/
	tagPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digestPattern = regexp.MustCompile(`^sha256:[a-f0-9]{64}$`)
	envPattern    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	lockPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$`)
	// secretPattern are the references that ECS takes in a container definition's valueFrom, in a short form and as ARNs:
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html
	secretPattern = regexp.MustCompile(`^(secretsmanager:[A-Za-z0-9/_+=.@-]+(:[^:\s]+)?` +
		`|ssm:[A-Za-z0-9/_.-]+` +
		`|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+(:[^:\s]*){0,3}` +
		`|arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9/_.-]+)$`)
)

// movingTags are tags that people move from image to image: the same file would mean another image tomorrow.
var movingTags = []string{
	"latest", "main", "master", "trunk", "head", "stable", "edge", "nightly", "canary", "current", "next", "release", "snapshot",
	"dev", "develop", "development", "test", "qa", "uat", "stage", "staging", "preprod", "prod", "production", "live",
}

// service reports what the types cannot say of a service, and fills its defaults.
func (s *source) service(svc *Service, env *Environment) {
	spec := &svc.Spec
	s.metadata(svc.Metadata)
	if want := stem(s.file); svc.Metadata.Name != want && namePattern.MatchString(svc.Metadata.Name) {
		s.report(fmt.Sprintf("metadata.name is %q, but the file is %s.yaml; write %s, or rename the file", svc.Metadata.Name, visible(want), visible(want)), "metadata", "name")
	}
	if !stackPattern.MatchString(spec.Stack) {
		s.report(fmt.Sprintf("spec.stack is %q; write the name of a CloudFormation stack: letters, digits and hyphens, a letter first", printable(spec.Stack)), "spec", "stack")
	}
	if len(spec.Containers) == 0 {
		s.reportKey("spec.containers is empty; name at least one container of the stack's template", "spec", "containers")
	}
	for name, c := range spec.Containers {
		s.container(name, c)
	}
	if spec.Migration != nil {
		s.migration(spec.Migration, spec.Containers)
	}
	s.duration(spec.Verify.Bake, BakeMin, 0, "spec", "verify", "bake")
	s.duration(spec.Rollout.Deadline, DeadlineMin, DeadlineMax, "spec", "rollout", "deadline")
	if spec.Retry < 0 {
		s.report("spec.retry is negative; raise it by one to ask again for a rejected ask", "spec", "retry")
	}
	for i, d := range spec.DependsOn {
		at := []string{"spec", "dependsOn", strconv.Itoa(i)}
		if d == svc.Metadata.Name {
			s.report("the service depends on itself; name another service", at...)
		} else if slices.Index(spec.DependsOn, d) < i {
			s.report(fmt.Sprintf("%s names %s again; name each service once", label(at), printable(d)), at...)
		}
	}
	s.override(spec.Emergency, "emergency")
	s.override(spec.Suspend, "suspend")
	svc.fill(env)
	s.breaking(spec)
	s.parameters(spec)
}

func (s *source) container(name string, c Container) {
	at := func(rest ...string) []string { return object("spec.containers", append([]string{name}, rest...)...) }
	if !containerPattern.MatchString(name) {
		s.reportKey(fmt.Sprintf("%q is not a container's name; write letters, digits, - and _, at most 255", printable(name)), at()...)
	}
	tag := label(at("image", "tag"))
	switch {
	case c.Image.Tag == "":
		s.report(tag+" is empty; write the short git SHA that CI pushed", at("image", "tag")...)
	case slices.Contains(movingTags, strings.ToLower(c.Image.Tag)):
		s.report(fmt.Sprintf("%s is %q, which moves from image to image; write the short git SHA that CI pushed", tag, c.Image.Tag), at("image", "tag")...)
	case !tagPattern.MatchString(c.Image.Tag):
		s.report(fmt.Sprintf("%s is %q, which no registry accepts; write the short git SHA that CI pushed", tag, printable(c.Image.Tag)), at("image", "tag")...)
	}
	if d := c.Image.Digest; !digestPattern.MatchString(d) && (d != "" || s.has(at("image", "digest")...)) {
		s.report(label(at("image", "digest"))+" is not a digest; write sha256: and 64 digits of 0-9 and a-f, as the registry told CI", at("image", "digest")...)
	}
	for variable, value := range c.Env {
		s.variable(variable, value, at("env", variable))
	}
	for variable, reference := range c.Secrets {
		path := at("secrets", variable)
		if !envPattern.MatchString(variable) {
			s.reportKey(fmt.Sprintf("%q is not a variable's name; write letters, digits and _, no digit first", printable(variable)), path...)
		}
		if _, both := c.Env[variable]; both {
			s.reportKey(fmt.Sprintf("%s is in env and in secrets; keep one", printable(variable)), path...)
		}
		if !secretPattern.MatchString(reference) {
			s.report(label(path)+" is not a reference; write secretsmanager:<name>[:<json key>], ssm:<name>, or the ARN of a secret or parameter, never the value itself", path...)
		}
	}
}

// variable never repeats the value: it may be what it must not be.
func (s *source) variable(name, value string, path []string) {
	if !envPattern.MatchString(name) {
		s.reportKey(fmt.Sprintf("%q is not a variable's name; write letters, digits and _, no digit first", printable(name)), path...)
	}
	const instead = "; keep it in Secrets Manager or SSM and write a reference under secrets"
	if what := secretLike(value); what != "" {
		s.report(label(path)+" looks like "+what+instead, path...)
	} else if value != "" && namesSecret(name) {
		s.report(label(path)+" has the name of a secret"+instead, path...)
	}
}

func (s *source) migration(m *Migration, containers map[string]Container) {
	if _, ok := containers[m.Container]; !ok {
		s.report(fmt.Sprintf("spec.migration.container is %q, which is not in spec.containers; %s", printable(m.Container),
			suggest(m.Container, "container", slices.Collect(maps.Keys(containers)))), "spec", "migration", "container")
	}
	if len(m.Command) == 0 || m.Command[0] == "" {
		s.report(`spec.migration.command is empty; write the command as a list, such as ["/worker", "migrate"]`, "spec", "migration", "command")
	}
	for i, word := range m.Command {
		at := []string{"spec", "migration", "command", strconv.Itoa(i)}
		if what := secretLike(word); what != "" {
			s.report(label(at)+" looks like "+what+"; let the command read it from a variable under secrets", at...)
		}
	}
	if !lockPattern.MatchString(m.Lock) && s.has("spec", "migration", "lock") {
		s.report(fmt.Sprintf("spec.migration.lock is %q; write letters, digits and -_./, such as order-db", printable(m.Lock)), "spec", "migration", "lock")
	}
	s.duration(m.Timeout, 1, 0, "spec", "migration", "timeout")
}

func (s *source) override(o *Override, name string) {
	if o == nil {
		return
	}
	if strings.TrimSpace(o.Reason) == "" {
		s.report(fmt.Sprintf("spec.%s.reason is empty; say why, for whoever finds it", name), "spec", name, "reason")
	}
	if strings.TrimSpace(o.Owner) == "" {
		s.report(fmt.Sprintf("spec.%s.owner is empty; say who answers for it", name), "spec", name, "owner")
	}
	if o.Until.IsZero() {
		s.report(fmt.Sprintf("spec.%s.until is empty; an exception ends, write when, such as 2027-01-31T00:00:00Z", name), "spec", name, "until")
	}
}

// breaking holds that what cannot be taken back is never reverted: the version before would meet a schema it does not know.
func (s *source) breaking(spec *ServiceSpec) {
	m := spec.Migration
	if s.isTainted(object("spec.onFailure")) || s.isTainted(object("spec.rollout.strategy")) {
		return
	}
	if m == nil || m.Compatibility != CompatibilityBreaking || spec.OnFailure == OnFailureFreeze || spec.Rollout.Strategy == StrategyRecreate {
		return
	}
	instead := "write onFailure: freeze"
	if s.kinds.Strategies[StrategyRecreate] != nil {
		instead += ", or rollout.strategy: " + StrategyRecreate
	}
	s.report("a breaking migration cannot be reverted; "+instead, "spec", "migration", "compatibility")
}

// parameters hands the strategy's and the checks' parameters to their kinds.
func (s *source) parameters(spec *ServiceSpec) {
	if kind, ok := s.kinds.Strategies[spec.Rollout.Strategy]; ok && !s.isTainted(object("spec.rollout.strategy")) {
		s.problems(kind, spec.Rollout.Params, spec, "spec", "rollout")
	} else if !ok {
		s.report(fmt.Sprintf("unknown strategy %q; %s", printable(spec.Rollout.Strategy),
			suggest(spec.Rollout.Strategy, "strategy", slices.Collect(maps.Keys(s.kinds.Strategies)))), "spec", "rollout", "strategy")
	}
	for name, params := range spec.Verify.Checks {
		if kind, ok := s.kinds.Checks[name]; ok {
			s.problems(kind, params, spec, "spec", "verify", name)
		}
	}
}

func (s *source) problems(kind Kind, params json.RawMessage, spec *ServiceSpec, path ...string) {
	if len(params) == 0 {
		params = json.RawMessage("{}")
	}
	for _, p := range kind.Check(params, spec) {
		at := append(slices.Clip(path), p.Path...)
		s.report(label(at)+": "+p.Message, at...)
	}
}
