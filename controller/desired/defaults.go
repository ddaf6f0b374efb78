package desired

import "time"

// The values that a file need not write, and the limits of those it does.
const (
	// DefaultBake is long enough for two periods of a one-minute alarm.
	DefaultBake = Duration(2 * time.Minute)
	// BakeMin is the shortest bake: a crash loop shows in it, and nothing shorter than a look at the account means anything.
	BakeMin = Duration(10 * time.Second)

	// DefaultDeadline is how long a roll may take, bake excluded.
	DefaultDeadline = Duration(15 * time.Minute)
	// DeadlineMin is the shortest deadline: pulling an image and passing a first health check takes most of it.
	DeadlineMin = Duration(time.Minute)
	// DeadlineMax keeps a roll that will never end from being watched for ever.
	DeadlineMax = Duration(6 * time.Hour)

	// DefaultStrategy is the strategy of a service that names none.
	DefaultStrategy = "rolling"
	// StrategyRecreate is the strategy that stops every old task before it starts a new one.
	// It is named here because a breaking migration may rely on it.
	StrategyRecreate = "recreate"

	// DefaultOnFailure is what happens when verification fails.
	DefaultOnFailure = OnFailureRevert

	// DefaultMigrationTimeout is how long a migration task may take before it is stopped.
	DefaultMigrationTimeout = Duration(10 * time.Minute)
	// DefaultCompatibility says that the version before can run against the migrated schema.
	DefaultCompatibility = CompatibilityBackward

	// DefaultDriftAfter is how long a change made by hand is only told.
	DefaultDriftAfter = Duration(5 * time.Minute)
	// DefaultDriftAction is what is then done about it.
	DefaultDriftAction = DriftCorrect
	// DefaultTemplateChange is what a changed template does to a service whose ask has not changed.
	DefaultTemplateChange = TemplateRoll
	// DefaultMassShare is the share of services that may change at once without a confirmation.
	DefaultMassShare = Percent(50)
	// DefaultMassAtLeast is how many services must change at once for that: a small environment never pauses.
	DefaultMassAtLeast = 10
	// DefaultTimezone is the zone of a window that names none.
	DefaultTimezone = "UTC"

	// FileSizeMax is the largest file that is read, in bytes.
	FileSizeMax = 1 << 20
	// nodesMax limits the values of one file after its aliases are followed: a few lines of aliases can stand for billions.
	nodesMax = 100_000
	// errorsMax limits the errors of one file that are told.
	errorsMax = 100
	// folderErrorsMax limits the errors of a whole folder that are told all: once there are so many, of each further file the first.
	folderErrorsMax = 1000
	// depthMax limits how deep values nest. The format itself needs 6.
	depthMax = 32
)

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// fill writes the built-in defaults into what the file left out.
func (e *Environment) fill() {
	orElse(&e.Spec.Drift.After, DefaultDriftAfter)
	orElse(&e.Spec.Drift.Action, DefaultDriftAction)
	e.Spec.MassChange = e.Spec.MassChange.OrDefaults()
	orElse(&e.Spec.TemplateChange, DefaultTemplateChange)
	orElse(&e.Spec.Defaults.Bake, DefaultBake)
	orElse(&e.Spec.Defaults.Deadline, DefaultDeadline)
	orElse(&e.Spec.Defaults.OnFailure, DefaultOnFailure)
	for i := range e.Spec.Windows {
		orElse(&e.Spec.Windows[i].Timezone, DefaultTimezone)
	}
}

// fill writes the environment's defaults, then the built-in ones, into what the file left out. A nil environment has none.
func (s *Service) fill(env *Environment) {
	if env != nil {
		orElse(&s.Spec.Verify.Bake, env.Spec.Defaults.Bake)
		orElse(&s.Spec.Rollout.Deadline, env.Spec.Defaults.Deadline)
		orElse(&s.Spec.OnFailure, env.Spec.Defaults.OnFailure)
	}
	orElse(&s.Spec.Verify.Bake, DefaultBake)
	orElse(&s.Spec.Rollout.Deadline, DefaultDeadline)
	orElse(&s.Spec.Rollout.Strategy, DefaultStrategy)
	orElse(&s.Spec.OnFailure, DefaultOnFailure)
	if m := s.Spec.Migration; m != nil {
		orElse(&m.Timeout, DefaultMigrationTimeout)
		orElse(&m.Lock, s.Metadata.Name)
		orElse(&m.Compatibility, DefaultCompatibility)
	}
}
