package story

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/script"
)

// image is one image and how it behaves.
type image struct {
	digest    string
	app       script.Script
	migration script.Script
}

// migrate is how a migration's command begins.
var migrate = []string{"/worker", "migrate"}

// traits are what an image can be said to do, besides being good.
var traits = []struct {
	words *regexp.Regexp
	shape func(i *image, after time.Duration)
}{
	{regexp.MustCompile(`^crashes on start$`), func(i *image, _ time.Duration) {
		i.app = script.Script{Logs: []script.Line{{After: time.Second, Text: "fatal: MENU_URL is not set"}}, Exit: &script.Exit{After: 2 * time.Second, Code: 1}}
	}},
	{regexp.MustCompile(`^panics after ([0-9a-z.]+)$`), func(i *image, after time.Duration) {
		i.app.Logs = append(i.app.Logs, script.Line{After: after, Text: "panic: runtime error: index out of range"})
	}},
	{regexp.MustCompile(`^exits after ([0-9a-z.]+)$`), func(i *image, after time.Duration) { i.app.Exit = &script.Exit{After: after, Code: 3} }},
	{regexp.MustCompile(`^is never healthy$`), func(i *image, _ time.Duration) { i.app.HealthStatus = 503 }},
	{regexp.MustCompile(`^is unhealthy after ([0-9a-z.]+)$`), func(i *image, after time.Duration) { i.app.HealthyFor = after }},
	{regexp.MustCompile(`^never says that it listens$`), func(i *image, _ time.Duration) { i.app.Logs = nil }},
	{regexp.MustCompile(`^says that it listens after ([0-9a-z.]+)$`), func(i *image, after time.Duration) {
		i.app.Logs = []script.Line{{After: after, Text: "listening on 8080"}}
	}},
	{regexp.MustCompile(`^migration takes ([0-9a-z.]+) to stop$`), func(i *image, after time.Duration) {
		i.migration.OnStop = script.Exit{After: after, Code: 137}
	}},
	{regexp.MustCompile(`^cannot be pulled$`), func(i *image, _ time.Duration) {
		i.app = unpullable
	}},
	{regexp.MustCompile(`^migration fails$`), func(i *image, _ time.Duration) {
		i.migration.Logs = []script.Line{{After: time.Second, Text: "column menu_id does not exist"}}
		i.migration.Exit.Code = 1
	}},
	{regexp.MustCompile(`^migration takes ([0-9a-z.]+)$`), func(i *image, after time.Duration) { i.migration.Exit.After = after }},
}

// Push is what a pipeline does after a build: the image goes into the service's repository.
func (w *World) Push(service, tag string, does ...string) error {
	i := image{
		app:       script.Script{Logs: []script.Line{{After: time.Second, Text: "listening on 8080"}}},
		migration: script.Script{Logs: []script.Line{{After: time.Second, Text: "migrated"}}, Exit: &script.Exit{After: 4 * time.Second}, OnStop: script.Exit{After: time.Second, Code: 143}},
	}
	for _, words := range does {
		if err := i.is(words); err != nil {
			return err
		}
	}
	var err error
	if i.digest, err = w.account.PushImage(service, sim.SeedImage{Tag: tag, Labels: labels(service, tag)}); err != nil {
		return fmt.Errorf("push image %s: %w", tag, err)
	}
	w.keep(service, tag, i)
	w.journal.add("pipeline", "pushes %s:%s %s", service, tag, strings.Join(does, ", "))
	return nil
}

// builtOf is the commit that a service's image was built of; of no repository here.
func builtOf(service, tag string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(service+":"+tag)))[:40]
}

// labels are those of a service's image.
func labels(service, tag string) map[string]string {
	return map[string]string{"org.opencontainers.image.revision": builtOf(service, tag)}
}

func (i *image) is(words string) error {
	for _, t := range traits {
		m := t.words.FindStringSubmatch(words)
		if m == nil {
			continue
		}
		var after time.Duration
		if len(m) > 1 {
			var err error
			if after, err = time.ParseDuration(m[1]); err != nil {
				return fmt.Errorf("%q: %w", words, err)
			}
		}
		t.shape(i, after)
		return nil
	}
	return fmt.Errorf("an image cannot be said to be %q; see README.md for what it can", words)
}

// Mend makes an image good that could not be pulled.
func (w *World) Mend(service, tag string) error {
	return w.pullable(service, tag, "can be pulled", script.Script{Logs: []script.Line{{After: time.Second, Text: "listening on 8080"}}})
}

// Break makes an image one that cannot be pulled any more.
func (w *World) Break(service, tag string) error {
	return w.pullable(service, tag, "cannot be pulled", unpullable)
}

func (w *World) pullable(service, tag, how string, app script.Script) error {
	i := w.image(service, tag)
	if i.digest == "" {
		return fmt.Errorf("image %s of %s was not pushed", tag, service)
	}
	i.app = app
	w.keep(service, tag, i)
	w.journal.add("registry", "%s:%s %s", service, tag, how)
	return nil
}

var unpullable = script.Script{PullError: "pull image manifest has been retried 5 time(s): failed to resolve ref: access denied"}

// keep remembers an image, and tells the account how all of them behave.
func (w *World) keep(service, tag string, i image) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.images[service+":"+tag] = i
	if ofIt := func(r script.Rule) bool { return r.Match.Image == i.digest }; slices.ContainsFunc(w.book, ofIt) {
		w.book = slices.DeleteFunc(slices.Clone(w.book), ofIt)
	}
	w.book = append(w.book, // behind what the account has of it
		script.Rule{Match: script.Match{Image: i.digest, Command: migrate}, Script: i.migration},
		script.Rule{Match: script.Match{Image: i.digest}, Script: i.app})
	w.account.SetBook(w.book)
}

// image answers an image as it was pushed, the zero one where it was not.
func (w *World) image(service, tag string) image {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.images[service+":"+tag]
}

// tagOf names the image of a reference, as the service's pipeline pushed it; empty for a stranger's.
func (w *World) tagOf(service, reference string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, i := range w.images {
		if owner, tag, _ := strings.Cut(key, ":"); owner == service && strings.HasSuffix(reference, i.digest) {
			return tag
		}
	}
	return ""
}

// layerOperation names a download of an image's configuration.
const layerOperation = sim.LayerOperation

// aboutImages are the requests that tell what an image was built of. Nobody waits for them, and to be killed at one is to be killed
// between two others: they count as no moments.
func aboutImages(operation string) bool {
	return operation == "BatchGetImage" || operation == "GetDownloadUrlForLayer" || operation == layerOperation
}
