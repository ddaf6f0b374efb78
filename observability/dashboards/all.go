package dashboards

import "fmt"

func stat(title, what, expr, unit string, steps ...Step) Panel {
	return Panel{title, what, "stat", unit, 4, []Query{{expr, "", true}}, steps}
}

func graph(title, what, unit string, queries ...Query) Panel {
	return Panel{title, what, "timeseries", unit, 12, queries, nil}
}

func table(title, what, unit, expr string) Panel {
	return Panel{title, what, "table", unit, 12, []Query{{expr, "", true}}, nil}
}

// quantile is of a histogram by these labels.
func quantile(q float64, metric, filter, by, window string) string {
	return fmt.Sprintf("histogram_quantile(%g, sum by (le%s) (rate(%s_bucket%s[%s])))", q, by, metric, filter, window)
}

const (
	env     = `{environment=~"$environment"}`
	service = `{environment=~"$environment",service=~"$service"}`
)

// All are the dashboards.
func All() []Dashboard { return []Dashboard{fleet(), oneService(), controller(), dora()} }

func fleet() Dashboard {
	return Dashboard{"fleet", "Deploy: fleet", "All services of the environments: what is wrong first.", false, []Panel{
		stat("Services", "Services that git asks for.", "count(deploy_service_info"+env+")", "none"),
		stat("Ready", "Share of services that run what git asks and are healthy. Below 100 %, see the table of those that are not.", "sum(deploy_service_ready"+env+") / count(deploy_service_ready"+env+")", "percentunit"),
		stat("Stalled", "Services that wait for a person or a new commit. Open each one's page: it says what to do.", "sum(deploy_service_stalled"+env+")", "none", zeroGood("red")...),
		stat("Put back", "Services on their last good revision because git's was rejected. Mend or revert the commit.", "sum(deploy_service_reverted"+env+")", "none", zeroGood("orange")...),
		stat("Suspended", "Services for which nothing new begins. Lift the suspension in git when its reason is gone.", "sum(deploy_service_suspended"+env+")", "none", zeroGood("yellow")...),
		stat("Invalid files", "Files that are not taken over. The controller's page names file, line and column.", "sum(deploy_invalid_manifests"+env+")", "none", zeroGood("red")...),
		graph("Services by phase", "A phase other than Healthy that stays is a problem: find its services below.", "none", Query{"count by (phase) (deploy_service_phase" + env + ")", "{{phase}}", false}),
		graph("Rollouts that ended", "Many rejected at once mean a cause that they share.", "none", Query{"sum by (result) (increase(deploy_rollouts_total" + env + "[$__rate_interval]))", "{{result}}", false}),
		table("Time in phase, by service", "Longest first. A rollout's deadline ends it by itself.", "s", "sort_desc(time() - deploy_service_phase_start_timestamp_seconds"+env+")"),
		table("Phase, by service", "The service's page says why it is in it.", "none", "deploy_service_phase"+env),
	}}
}

func oneService() Dashboard {
	return Dashboard{"service", "Deploy: service", "One service: its phase, its rollouts, its tasks.", true, []Panel{
		{"Phase", "What the service went through.", "state-timeline", "none", 24, []Query{{"deploy_service_phase" + service, "{{service}} {{phase}}", false}}, nil},
		graph("Tasks", "Running below desired for long: look for stopped tasks on the service's page.", "none", Query{"deploy_service_tasks" + service, "{{service}} {{state}}", false}),
		graph("Rollouts that ended", "Rejected: the evidence page has the failed check and the last log lines.", "none", Query{"sum by (service, result) (increase(deploy_rollouts_total" + service + "[$__rate_interval]))", "{{service}} {{result}}", false}),
		graph("Reverts by cause", "The cause says where to look: crashes in the logs, targets at the health check.", "none", Query{"sum by (cause) (increase(deploy_reverts_total" + service + "[$__rate_interval]))", "{{cause}}", false}),
		graph("Migrations", "A failed one left the service untouched; its log is on the evidence page.", "none", Query{"sum by (result) (increase(deploy_migrations_total" + service + "[$__rate_interval]))", "{{result}}", false}),
		graph("Drift", "Somebody deployed past git. Put the change into git, or let it be corrected.", "none", Query{"sum by (action) (increase(deploy_drift_total" + service + "[$__rate_interval]))", "{{action}}", false}),
		table("Since the last good verdict", "How old what is known to be good is.", "s", "time() - deploy_service_last_good_timestamp_seconds"+service),
	}}
}

func controller() Dashboard {
	return Dashboard{"controller", "Deploy: controller", "Whether the controller itself keeps up: git, queue, passes, AWS.", false, []Panel{
		stat("Since the last fetch", "Old: git is not reachable. Look at the errors of fetches and at the credentials.", "max(time() - deploy_git_last_success_timestamp_seconds)", "s", Step{120, "orange"}, Step{300, "red"}),
		stat("Waiting services", "Due and without a worker. If it stays, see the budgets of AWS.", "sum(deploy_queue_depth)", "none", Step{100, "orange"}),
		stat("Longest wait", "How late the controller is.", "max(deploy_queue_oldest_age_seconds)", "s", Step{30, "orange"}, Step{120, "red"}),
		stat("Paused services", "A mass change waits to be confirmed, or services are missing. The controller's page says how to go on.", "sum(deploy_paused_services"+env+")", "none", zeroGood("red")...),
		stat("Open streams", "Pages that are watched live.", "sum(deploy_ui_sse_clients)", "none"),
		stat("Panics", "Passes that contradicted themselves. The service stands still: report it with the log.", `sum(increase(deploy_reconcile_total{result="panicked"}[$__range]))`, "none", zeroGood("red")...),
		graph("Passes", "Failed ones are tried again with backoff; the log has their reason.", "ops", Query{"sum by (result) (rate(deploy_reconcile_total[$__rate_interval]))", "{{result}}", false}),
		graph("Duration of a pass", "Grows where AWS is slow or the budget is used up.", "s", Query{quantile(0.5, "deploy_reconcile_duration_seconds", "", "", "$__rate_interval"), "half", false}, Query{quantile(0.99, "deploy_reconcile_duration_seconds", "", "", "$__rate_interval"), "99 %", false}),
		graph("Fetches", "Errors: see the log for what git answered.", "ops", Query{"sum by (result) (rate(deploy_git_fetch_total[$__rate_interval]))", "{{result}}", false}),
		graph("Requests to AWS", "Against the account's rates.", "reqps", Query{"sum(rate(deploy_aws_requests_total[$__rate_interval]))", "requests", false}),
		graph("Budgets", "What the controller allows itself. It falls after AWS refused a request for its rate.", "reqps", Query{"min by (budget) (deploy_aws_budget_requests_per_second)", "{{budget}}", false}),
		graph("Requests that wait for a budget", "If it grows, something else uses the account's rates, or the environment is too large for them.", "none", Query{"sum by (budget) (deploy_aws_budget_waiting_requests)", "{{budget}}", false}),
	}}
}

func dora() Dashboard {
	return Dashboard{"dora", "Deploy: delivery", "The four DORA measures over the time that is shown.", false, []Panel{
		stat("Deployments", "Changes that were found good.", `sum(increase(deploy_rollouts_total{environment=~"$environment",result="succeeded",trigger="git"}[$__range]))`, "none"),
		stat("Change failure rate", "Rejected changes, of all that were judged. If it grows, test earlier what the checks find.", `sum(increase(deploy_change_failures_total`+env+`[$__range])) / (sum(increase(deploy_change_failures_total`+env+`[$__range])) + sum(increase(deploy_rollouts_total{environment=~"$environment",result="succeeded",trigger="git"}[$__range])))`, "percentunit", Step{0.15, "orange"}, Step{0.3, "red"}),
		stat("Lead time, half", "From commit to verdict. Waits and stages below say where it goes.", quantile(0.5, "deploy_change_lead_time_seconds", env, "", "$__range"), "s"),
		stat("Time to restore, half", "From a failed verdict to its repair.", quantile(0.5, "deploy_restore_duration_seconds", env, "", "$__range"), "s"),
		graph("Deployments by service", "Seldom and large is riskier than often and small.", "none", Query{`sum by (service) (increase(deploy_rollouts_total{environment=~"$environment",result="succeeded"}[$__rate_interval]))`, "{{service}}", false}),
		graph("Duration of stages, half", "The longest stage is what to shorten.", "s", Query{quantile(0.5, "deploy_rollout_stage_duration_seconds", env, ", stage", "$__range"), "{{stage}}", false}),
	}}
}
