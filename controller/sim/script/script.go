// Package script runs modelled tasks: nothing is executed, a Script says what a
// container would do and when. It is the ecs.Runner and the ecs.Images of tests
// and simulations, in real time and in testing/synctest bubbles alike.
package script

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Script is what one container does. The zero Script starts at once, answers
// every health check with 200, runs until it is stopped and then exits 0 after
// a second. All times count from the container's start.
type Script struct {
	PullError  string // the image cannot be pulled: this text follows "CannotPullContainerError: "
	StartError string // the container cannot be started: the task's stoppedReason, "CannotStartContainerError: …"

	StartsIn     time.Duration // until then connections are refused
	HealthStatus int           // HTTP status of health checks; 0 means 200
	Hangs        bool          // accepts connections and never answers
	HealthyFor   time.Duration // after that time it answers 503, or hangs if HangsAfter; 0: for ever
	HangsAfter   bool

	ContainerHealth []Health // container health changes; none: HEALTHY once started, if there is a check
	Logs            []Line
	Exit            *Exit // ends on its own; nil: never
	OnStop          Exit  // ends when stopped, After counted from then; zero: after 1 s with code 0
}

// Exit is how and when a container ends.
type Exit struct {
	After  time.Duration
	Code   int32
	Reason string // "OutOfMemoryError: Container killed due to memory usage"
}

// Line is one line of output.
type Line struct {
	After time.Duration
	Text  string
}

// Health is one change of a container's health.
type Health struct {
	After  time.Duration
	Status types.HealthStatus
}

// Match says for which containers a Rule is. An empty member matches everything.
type Match struct {
	Image     string   // the whole reference, its repository (with or without registry), ":tag" or its digest "sha256:…"
	Container string   // the container's name
	Command   []string // a prefix of the command
}

// Rule gives a Script to the containers that it matches.
type Rule struct {
	Match  Match
	Script Script
	Times  int // only for the first so many containers; 0: for all
}

// Book is what images do: the first rule that matches counts, and nothing
// matches means the zero Script.
type Book []Rule

func (m Match) matches(container, image, digest string, command []string) bool {
	return (m.Container == "" || m.Container == container) &&
		(m.Image == "" || matchesImage(m.Image, image, digest)) &&
		len(command) >= len(m.Command) && slices.Equal(command[:len(m.Command)], m.Command)
}

func matchesImage(want, image, digest string) bool {
	if strings.HasPrefix(want, "sha256:") { // as most are, of hundreds
		return want == digest || strings.HasSuffix(image, want) && strings.HasSuffix(image[:len(image)-len(want)], "@")
	}
	name, tag, _ := split(image)
	if want == image || want == name || tag != "" && want == ":"+tag {
		return true
	}
	return strings.HasSuffix(name, "/"+want)
}

// split takes an image reference apart.
func split(image string) (name, tag, digest string) {
	name, digest, _ = strings.Cut(image, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name, tag = name[:colon], name[colon+1:]
	}
	return name, tag, digest
}
