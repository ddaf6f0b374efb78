package story

import "fmt"

// What developers do in a drawn story. Whatever edits a file may find it broken or gone: then it is not to be.

// traitsDrawn are what images do, good ones twice as often as all the others together.
var traitsDrawn = []string{
	"crashes on start", "panics after 2s", "panics after 40s", "exits after 15s", "exits after 50s", "is never healthy", "is unhealthy after 20s",
	"never says that it listens", "cannot be pulled", "migration fails", "migration takes 90s", "migration takes 20m", "migration takes 70s to stop",
}

// release is a version on its way into git.
func (d *drawing) release(service string) {
	d.images[service]++
	tag := fmt.Sprintf("v%d", d.images[service])
	push := fmt.Sprintf("push %s image %s", service, tag)
	if d.chance(3) {
		push += ": " + pick(d, traitsDrawn...)
	}
	commit := fmt.Sprintf("perhaps commit %s image %s", service, tag)
	if d.chance(8) { // the pipeline is slower than the developer
		d.say("%s", commit)
		d.say("advance %s", d.while())
		d.say("%s", push)
		return
	}
	d.say("%s", push)
	d.say("%s", commit)
}

func (d *drawing) image(service string) int { return 1 + d.rng.IntN(d.images[service]) }

func (d *drawing) back(service string) {
	d.say("perhaps commit %s image v%d", service, d.image(service))
}

func (d *drawing) retry(service string) {
	d.retries[service]++
	d.say("perhaps commit %s also retry: %d", service, d.retries[service])
}

func (d *drawing) env(service string) {
	d.say("perhaps commit %s.yaml with spec.containers.app.env.LOG_LEVEL %s", service, pick(d, "debug", "info", "warn"))
}

func (d *drawing) bake(service string) {
	d.say("perhaps commit %s.yaml with spec.verify.bake %s", service, pick(d, "10s", "30s", "75s"))
}

func (d *drawing) nothing(string) { d.say("commit nothing of ours") }

func (d *drawing) suspend(service string) {
	if d.chance(3) {
		d.say("perhaps commit %s without suspend", service)
		return
	}
	d.say("perhaps commit %s also suspend: {reason: a fair, owner: kitchen, until: %s}", service, d.clock(4))
}

// window is a change window of the environment's, which may be closed for the rest of the story.
func (d *drawing) window(string) {
	if d.chance(3) {
		d.say("perhaps commit environment without windows")
		return
	}
	from := d.rng.IntN(4)
	d.say(`perhaps commit environment also windows: [{days: [sat], from: "%02d:%02d", to: "%02d:%02d", timezone: UTC}]`, from, 10*d.rng.IntN(6), from+1+d.rng.IntN(2), 10*d.rng.IntN(6))
}

func (d *drawing) crowd(string) {
	if d.chance(3) {
		d.say("perhaps commit environment without maxConcurrentRollouts")
		return
	}
	d.say("perhaps commit environment also maxConcurrentRollouts: %d", 1+d.rng.IntN(2))
}

// dependency lets a service wait for one that stands before it in the list: a circle would be a broken file.
func (d *drawing) dependency(string) {
	if len(d.services) < 2 {
		return
	}
	i := 1 + d.rng.IntN(len(d.services)-1)
	if d.chance(3) {
		d.say("perhaps commit %s without dependsOn", d.services[i])
		return
	}
	d.say("perhaps commit %s also dependsOn: [%s]", d.services[i], pick(d, d.services[:i]...))
}

func (d *drawing) recreate(service string) {
	rollout := "{strategy: recreate, deadline: 10m, initialCount: 2}"
	if d.chance(2) {
		rollout = fmt.Sprintf("{strategy: rolling, deadline: %s, minimumHealthyPercent: %d, maximumPercent: 200, initialCount: 2}", pick(d, "3m", "10m"), pick(d, 50, 100))
	}
	d.say("perhaps commit %s also rollout: %s", service, rollout)
}

func (d *drawing) freeze(service string) {
	d.say("perhaps commit %s also onFailure: %s", service, pick(d, "freeze", "revert"))
}

// breaking lets a service's migrations take from the version before what it needs, or no longer.
func (d *drawing) breaking(service string) {
	if d.chance(4) {
		d.say("perhaps commit %s.yaml with spec.migration.compatibility backward", service)
		return
	}
	d.say("perhaps commit %s also onFailure: freeze", service) // a file that asks for a revert beside it is refused
	d.say("perhaps commit %s.yaml with spec.migration.compatibility breaking", service)
}

func (d *drawing) emergency(service string) {
	d.say("perhaps commit %s also emergency: {reason: lunch, owner: kitchen, until: %s}", service, d.clock(4))
}

// secretChange turns the restart on a new secret on or off, and changes the secret.
func (d *drawing) secretChange(service string) {
	switch d.rng.IntN(4) {
	case 0:
		d.say("perhaps commit %s also onSecretChange: %s", service, pick(d, "restart", "restart", "ignore"))
	case 1:
		d.say("perhaps the secret of %s is made anew", service)
	default:
		d.say("perhaps the secret of %s is rotated", service)
	}
}

// forcePush replaces the newest commit, or takes it back.
func (d *drawing) forcePush(service string) {
	if d.chance(2) {
		d.say("perhaps force-push the commit before")
		return
	}
	d.say("perhaps force-push %s image v%d", service, d.image(service))
}

func (d *drawing) brokenFile(service string) {
	switch d.files[service] {
	case "":
		d.files[service] = "broken"
		d.say("perhaps commit %s.yaml broken", service)
	case "broken":
		d.files[service] = ""
		d.say("perhaps commit %s.yaml mended", service)
	}
}

func (d *drawing) missingFile(service string) {
	switch d.files[service] {
	case "":
		d.files[service] = "gone"
		d.say("perhaps take %s.yaml out of git", service)
	case "gone":
		d.files[service] = ""
		d.say("perhaps bring %s.yaml back", service)
	}
}

func (d *drawing) gitAway(string) {
	d.away = !d.away
	if d.away {
		d.say("git goes away")
		return
	}
	d.say("git comes back")
}
