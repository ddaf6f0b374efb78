package main

// breakage is one line broken on purpose.
type breakage struct {
	invariant int    // as docs/ARCHITECTURE.md numbers them
	what      string // goes wrong
	file      string // below controller
	old, new  string
}

// breakages are at least two for each invariant that one process can hold.
var breakages = []breakage{
	{1, "another revision is rolled than the record says", "strategy/rolling/rolling.go", "Revision: ro.Revision,", "Revision: seen.TaskDefinition,"},
	{1, "freeze is ignored", "rollout/conclude.go", "failed.Target.Spec.OnFailure == desired.OnFailureFreeze", "failed.Target.Spec.OnFailure == desired.OnFailureFreeze && false"},
	{1, "what a breaking migration left behind is put back", "rollout/conclude.go", "behind := rec.Good != nil && contains(rec.Behind, rec.Good.Target.Ask)", "behind := false"},
	{1, "a raised retry does not roll what was left behind", "rollout/settle.go", "rec.Intent.Service.Spec.Retry <= rec.BehindRetry", "true"},
	{1, "recreate lets two versions run side by side", "strategy/recreate/recreate.go", "maximumPercent        = 100", "maximumPercent        = 200"},
	{2, "any exit code of the migration will do", "rollout/migrate.go", "case itself && found && c.Exited && c.ExitCode == 0:", "case itself && found && c.Exited:"},
	{2, "a migration that was stopped from outside counts", "rollout/migrate.go", "itself := task.StopCode == stopContainerExited", "itself := true"},
	{2, "a running migration is not waited for", "rollout/migrate.go", "case !task.Stopped():", "case false:"},
	{3, "every request has a token of its own", "rollout/migrate.go", "Token: run.Token,", "Token: run.Token + run.RequestedAt.String(),"},
	{3, "a key that succeeded runs again", "rollout/foresee.go", "return SkipDone\n\tcase slices.Contains(r.GoodAsks, ro.Target.Ask):\n\t\treturn SkipGood", "return SkipNothing"},
	{3, "a lost outcome is run again without git's word", "rollout/migrate.go", "case m.Idempotent && run != nil &&", "case run != nil &&"},
	{3, "the ledger gives a held lock away", "ledger/save.go", "if lock != \"\" {", "if lock != \"\" && false {"},
	{4, "a rejected ask is tried again", "rollout/settle.go", "if verdict != nil && cleared(*verdict, *rec.Intent) {", "if verdict != nil {"},
	{4, "a bad template is rolled over and over", "rollout/settle.go", "|| condemned(rec, print) {", "{"},
	{4, "a mended check does not clear its verdict", "rollout/settle.go", "return !r.Inferred && checksHash(intent.Service.Spec, r.Check) != r.Checks", "return false"},
	{4, "a value of a secret that broke the version is tried again", "rollout/conclude.go", "(ro.Trigger == TriggerTemplate || ro.Trigger == TriggerSecret)", "ro.Trigger == TriggerTemplate"},
	{5, "the verdict does not wait for the bake", "rollout/bake.go", "if in.Now.Before(ro.BakeUntil) {", "if false {"},
	{5, "any PRIMARY counts as ours", "rollout/roll.go", "if primary.ID == d.ID {", "if true {"},
	{5, "no data counts as passed", "rollout/bake.go", "if r.Verdict != observed.Pass {", "if r.Verdict == observed.Fail {"},
	{5, "a deployment without tasks is complete", "health/steady/steady.go", "case d.Desired == 0 && s.Kind == rollout.KindDeploy:", "case false:"},
	{6, "a revert waits for its turn and for healthy checks", "rollout/roll.go", "if ro.Kind == KindDeploy {\n\t\tif d, ok := readied", "if true {\n\t\tif d, ok := readied"},
	{6, "a revert is reverted", "rollout/conclude.go", "if ro.Kind != KindDeploy {\n\t\treturn revertFailed", "if false {\n\t\treturn revertFailed"},
	{6, "a deploy is asked for again and again beside a revert that failed", "rollout/settle.go", "trigger != TriggerRetry && !well {", "trigger != TriggerRetry && !serves(in, rec) {"},
	{6, "the revert goes to what failed", "rollout/conclude.go", "rec.Good.Target, rec.Good.Fingerprint, rec.Good.Revision, rec.Good.Secrets\n\t\trec.Rollout", "rec.Good.Target, rec.Good.Fingerprint, failed.Revision, rec.Good.Secrets\n\t\trec.Rollout"},
	{7, "nobody checks the way back", "rollout/wayback.go", "return s.OK || s.Lacks == observed.LackRevision && len(g.Target.Containers) > 0", "return true || s.Lacks == observed.LackRevision"},
	{7, "the count is sent with every roll", "strategy/rolling/rolling.go", "if seen.Desired == 0 && ro.First && p.InitialCount != nil {", "if p.InitialCount != nil {"},
	{8, "a lost answer is asked for again at once", "rollout/roll.go", "case in.Now.Before(d.RequestedAt.Add(staleFor)):", "case false:"},
	{8, "a deployment that took effect is not adopted", "rollout/roll.go", "case primary.TaskDefinition == ro.Revision:", "case false:"},
	{8, "a registration is repeated without looking", "rollout/register.go", "Look: ro.Registers > 1,", "Look: false,"},
	{8, "one stale read ends a rollout", "rollout/roll.go", "if !rolledBack(in) && in.Now.Before(patient.Add(staleFor)) {", "if false {"},
	{8, "a write may begin at the very end of the lease", "ledger/lease/keeper.go", "case left < 2*Margin:", "case left < 0:"},
	{8, "whoever takes over does not wait for the last request of the one before", "ledger/lease/keeper.go", "case now.Before(k.quiet):", "case false:"},
	{9, "a newer ask waits for the verdict", "rollout/register.go", "if ro.Kind != KindDeploy || rec.Intent == nil", "if true || rec.Intent == nil"},
	{9, "a migration that ECS refuses holds a newer ask up", "rollout/migrate.go", "if run.Refused || run.Requests == 0 {", "if false {"},
	{9, "what git left is begun while the newer image is not pushed", "rollout/register.go", "case len(unknown) > 0 && ro.Deployment != nil:", "case len(unknown) > 0:"},
	{10, "a blocked deploy keeps its place", "reconcile/fleet.go", "(ro.Migration != nil || ro.Deployment != nil)", "true"},
	{11, "an image that cannot be pulled condemns the ask", "rollout/stopped.go", "{[]string{\"cannotpull\"}, observed.ClassBlocked,", "{[]string{\"cannotpull\"}, observed.ClassProduct,"},
	{11, "want of capacity condemns the ask", "health/steady/steady.go", "stop := rollout.Stop{Class: observed.ClassInfrastructure,", "stop := rollout.Stop{Class: observed.ClassProduct,"},
	{11, "a refusal for want of a permission waits for git", "rollout/failure.go", "if trouble != nil && trouble.Kind == string(fault.Blocked) {", "if false {"},
	{11, "a text comes before the stop code", "rollout/stopped.go", "case stopContainerExited:\n\t\treturn exited(t)", "case stopContainerExited:\n\t\treturn startFailed(t, strings.ToLower(t.StoppedReason))"},
	{11, "an alarm that was red before condemns the ask", "rollout/roll.go", "ro.Baseline = in.Seen.Alarms\n", "\n"},
	{12, "a refused request has no deadline", "rollout/roll.go", "if !ro.AskedAt.IsZero() && !in.Now.Before(", "if false && !in.Now.Before("},
	{12, "the look after a decision is never due", "rollout/decide.go", "func (in Input) idleAt() time.Time  { return in.Now.Add(in.Want.Pace.Idle) }", "func (in Input) idleAt() time.Time  { return time.Time{} }"},
	{13, "the commit is part of the ask", "rollout/ask.go", "ask.Container, ask.Command = t.Migration.Container, t.Migration.Command", "ask.Container, ask.Command = t.Commit.SHA, t.Migration.Command"},
	{13, "secrets are always part of the fingerprint", "rollout/ask.go", "if len(secrets) == 0 {", "if secrets == nil {"},
	{15, "a mass change is taken over without a word of anybody's", "rollout/mass.go", "if !Exceeds(n, of, policy) {\n\t\treturn Mass{}", "if true {\n\t\treturn Mass{}"},
	{15, "a restart forgets what a mass change waits beside", "reconcile/asked.go", "a.taken[rec.Service] = word{rec.Intent, &rec.Intent.Service}", "_ = word{rec.Intent, &rec.Intent.Service}"},
	{15, "what is missing from the account holds nothing back", "rollout/begin.go", "if d, ok := paused(in, rec); ok {", "if d, ok := paused(in, rec); ok && false {"},
	{15, "a place goes to whoever looks first", "rollout/begin.go", "if limit == 0 || in.Want.Others+in.Want.Ahead < limit {", "if limit == 0 || in.Want.Others < limit {"},
	{14, "log lines are kept as they came", "rollout/evidence.go", "s = Redact(s)", ""},
}
