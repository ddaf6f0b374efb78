package sim

// rows are the numbered rows of README.md's catalogue that a fault brings about.
var rows = map[string]string{
	"A1": "pass-role-missing", "A2": "access-denied", "A3": "credentials-expired", "A4": "cluster-missing", "A5": "service-missing",
	"A6": "service-not-active", "A7": "service-draining", "A8": "service-exists", "A9": "task-definition-missing", "A10": "task-definition-inactive",
	"A11": "container-unknown", "A12": "port-unknown", "A13": "target-group-unattached", "A14": "target-group-unknown", "A15": "service-linked-role",
	"A16": "subnet-gone", "A17": "security-group-gone", "A18": "network-missing", "A19": "fargate-size", "A20": "launch-type-incompatible",
	"A21": "platform-unknown", "A22": "task-definition-too-large", "A23": "revision-quota", "A24": "tags-refused", "A25": "throttled",
	"A26": "server-error-after-effect", "A27": "namespace-missing", "A28": "token-conflict", "A29": "account-blocked", "A30": "feature-unsupported",
	"A31": "member-immutable", "A32": "delete-above-zero", "A33": "controller-code-deploy",

	"B1": "pull-not-found", "B2": "pull-no-repository", "B3": "pull-denied", "B4": "pull-timeout", "B5": "pull-rate-limit", "B6": "pull-architecture",
	"B7": "pull-disk-full", "B8": "image-gone", "B9": "secret-gone", "B10": "secret-key-missing", "B11": "secret-denied", "B12": "parameter-gone",
	"B13": "log-group-gone", "B14": "efs-mount-failed", "B15": "network-timeout", "B16": "subnet-full", "B17": "capacity-unavailable",
	"B18": "vcpu-quota", "B19": "no-instance", "B20": "start-no-executable", "B21": "dependency-failed", "B22": "volume-failed",
	"B23": "execution-role-unassumable", "B24": "stuck-pending",

	"C1": "crash", "C2": "crash-late", "C3": "exit-zero", "C4": "out-of-memory", "C5": "wrong-port", "C6": "unhealthy", "C7": "hangs", "C8": "slow-boot",
	"C10": "container-unhealthy", "C11": "container-health-unknown", "C12": "target-group-detached", "C13": "target-group-deleted",
	"C14": "zone-not-enabled", "C15": "health-check-disabled", "C17": "tasks-protected", "C20": "start-no-executable", "C22": "crash", "C21": "breaker-stalls",
	"C28": "alarm-red", "C30": "alarm-no-data", "C33": "target-group-detached", "C34": "service-connect-fails", "C35": "zone-lost",

	"D1": "foreign-deployment", "D2": "two-controllers", "D3": "count-changed", "D4": "tasks-stopped", "D5": "spot-interruption",
	"D6": "fargate-retirement", "D7": "zone-away", "D8": "hangs-later", "D9": "service-deleted", "D10": "cluster-missing", "D11": "reads-stale",
	"D12": "records-late", "D13": "events-shuffled", "D14": "deletion-fails", "D15": "page-token-expired", "D16": "throttled",
	"D17": "scheduler-throttled", "D18": "clock-skew", "D19": "sidecar-injected", "D20": "response-lost", "D21": "stopped-tasks-forgotten",
	"D22": "exit-zero", "D23": "never-ends", "D24": "log-group-not-found", "D25": "pull-denied", "D26": "revision-deregistered", "D27": "answer-partial",
	"D28": "secret-rotated",
}

// configured are the rows that somebody's configuration brings about, and no fault.
var configured = map[string]bool{
	"C9": true, "C16": true, "C18": true, "C19": true, "C23": true, "C24": true, "C25": true, "C26": true, "C27": true,
	"C29": true, "C31": true, "C32": true,
}
