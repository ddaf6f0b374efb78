// Package adopt makes the files of desired/ for a service that runs already, such that nothing has to be rolled for them, and the
// stack's template where there is no stack yet. It is pure: what runs is told by package account, and whoever calls writes the
// files.
package adopt

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Running is one service of the account as it runs. No value of a secret is in it.
type Running struct {
	Account, Region  string
	Cluster, Service string // names

	Active     bool
	Status     string // ECS's, where it is not active
	Controller string // ECS, CODE_DEPLOY or EXTERNAL
	Strategy   string // of ECS's deployments: ROLLING, BLUE_GREEN, …
	Scheduling string // REPLICA or DAEMON
	Desired    int
	Running    int
	Rolling    bool // a deployment is under way
	Minimum    int  // percent
	Maximum    int
	RollsBack  bool     // ECS's circuit breaker or alarms put a failed deployment back by themselves
	Alarms     []string // that ECS watches while it deploys
	Balanced   bool
	Good       string // the revision that a controller has tagged as good, empty where none has

	Subnets        []string
	SecurityGroups []string

	Revision   string // family:revision that runs
	Content    string // of it, as JSON of RegisterTaskDefinition's input
	Containers []Container

	Stack    string            // the stack that is about it, empty where there is none
	Outputs  map[string]string // of the stack
	Template []Container       // the template's, in the stack
	Family   string            // the template's family
}

// Container is one container of a task definition.
type Container struct {
	Name    string
	Image   string            // as the task definition names it
	Digests []string          // what its running tasks have, each once
	Tags    []string          // that the registry has for the digest
	Env     map[string]string // plain
	Secrets map[string]string // valueFrom
}

// Refusal says why the service cannot be the controller's, empty where it can.
func (r Running) Refusal() string {
	switch {
	case !r.Active:
		return fmt.Sprintf("it is %s, not ACTIVE", r.Status)
	case r.Controller != "" && r.Controller != "ECS":
		return fmt.Sprintf("its deployment controller is %s, which a service keeps for life: the controller rolls services of ECS's own kind only. Create a service beside it with deployment controller ECS, move the traffic, and adopt that", r.Controller)
	case r.Strategy != "" && r.Strategy != "ROLLING":
		return fmt.Sprintf("its deployments are %s: set the deployment strategy to ROLLING first", r.Strategy)
	case r.Scheduling == "DAEMON":
		return "it is a DAEMON service, which has no count and runs on EC2 instances"
	case r.Rolling:
		return "a deployment of it is under way: adopt it when that is done"
	case r.Desired == 0 || r.Running == 0:
		return fmt.Sprintf("%d of %d tasks run, so nobody can say which image it is: scale it up first", r.Running, r.Desired)
	}
	return ""
}

// Owned are the containers of what runs that git shall decide about: those whose image is in the repository.
func (r Running) Owned(repository string) []Container {
	return slices.DeleteFunc(slices.Clone(r.Containers), func(c Container) bool { return repositoryOf(c.Image) != repository })
}

// Repositories are those of ECR's that its containers' images are in, each once.
func (r Running) Repositories() []string {
	var out []string
	for _, c := range r.Containers {
		if repository := repositoryOf(c.Image); strings.Contains(repository, ".dkr.ecr") && !slices.Contains(out, repository) {
			out = append(out, repository)
		}
	}
	return out
}

// repositoryOf is an image without tag and digest.
func repositoryOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// tag is how people call the image, and whether the registry or the task definition says so.
func (c Container) tag() (string, bool) {
	image, _, _ := strings.Cut(c.Image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[i+1:], true
	}
	tags := slices.Sorted(slices.Values(c.Tags))
	// The pipeline's tags are short commit ids; any other is a word of somebody's.
	if i := slices.IndexFunc(tags, func(t string) bool { return len(t) >= 7 && strings.Trim(t, "0123456789abcdef") == "" }); i >= 0 {
		return tags[i], true
	}
	if len(tags) > 0 {
		return tags[0], true
	}
	return strings.TrimPrefix(c.digest(), "sha256:")[:12], false
}

func (c Container) digest() string { return c.Digests[0] }

// named is the container of the list with the name.
func named(list []Container, name string) (Container, bool) {
	i := slices.IndexFunc(list, func(c Container) bool { return c.Name == name })
	if i < 0 {
		return Container{}, false
	}
	return list[i], true
}

// beyond are the members of a that b has not, or has otherwise.
func beyond(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.DeleteFunc(out, func(k, v string) bool { other, ok := b[k]; return ok && other == v })
	return out
}

// Trouble is why no file can be written that asks for what runs, empty where one can.
func (r Running) Trouble() string {
	owned := r.Owned(r.Outputs["RepoUri"])
	var images []string
	for _, c := range r.Containers {
		images = append(images, c.Name+": "+c.Image)
	}
	if r.Family == r.Service {
		return fmt.Sprintf("the stack %s has as its TaskTemplate %s, the family that the service itself runs: the controller registers its revisions there, so each would be a new template. "+
			"Give the template a family of its own in the stack", r.Stack, r.Outputs["TaskTemplate"])
	}
	if len(owned) == 0 {
		return fmt.Sprintf("none of its containers runs an image of %s, the RepoUri of the stack %s; they are %s", r.Outputs["RepoUri"], r.Stack, strings.Join(images, ", "))
	}
	for _, c := range owned {
		if len(c.Digests) != 1 {
			return fmt.Sprintf("the tasks that run have %s images in container %s: wait until all run the same", cmp.Or(strings.Trim(fmt.Sprint(len(c.Digests)), "0"), "no known"), c.Name)
		}
		if _, ok := named(r.Template, c.Name); !ok {
			return fmt.Sprintf("the template %s of the stack %s has no container %s", r.Outputs["TaskTemplate"], r.Stack, c.Name)
		}
	}
	return ""
}
