package story

// How a fault of the account's catalogue is drawn: what it is about. NAME is the service.
const (
	anyCall       = "any call"
	ownCall       = "a call of its own"
	anImage       = "an image by its digest"
	aTag          = "an image by its tag"
	nothingOfOurs = "no thing"
)

// troublesDrawn are the faults of the account's catalogue that a drawn story may meet, by name, and what they are about.
var troublesDrawn = map[string]string{
	"access-denied": anyCall, "account-blocked": anyCall, "cluster-missing": anyCall, "connection-reset": anyCall, "credentials-expired": anyCall,
	"feature-unsupported": anyCall, "response-lost": anyCall, "server-error": anyCall, "server-error-after-effect": anyCall, "slow": anyCall, "throttled": anyCall,
	"unavailable": anyCall, "page-token-expired": anyCall,

	"answer-partial": ownCall, "container-unknown": ownCall, "fargate-size": ownCall, "launch-type-incompatible": ownCall, "log-group-not-found": ownCall,
	"member-immutable": ownCall, "namespace-missing": ownCall, "network-missing": ownCall, "pass-role-missing": ownCall, "platform-unknown": ownCall,
	"port-unknown": ownCall, "revision-quota": ownCall, "secret-access-denied": ownCall, "service-missing": ownCall, "service-not-active": ownCall,
	"tags-refused": ownCall, "target-group-not-found": ownCall, "target-group-unattached": ownCall, "target-group-unknown": ownCall,
	"target-health-unavailable": ownCall, "task-definition-inactive": ownCall, "task-definition-missing": ownCall, "task-definition-too-large": ownCall,
	"token-conflict": ownCall,

	"container-health-unknown": anImage, "container-unhealthy": anImage, "crash": anImage, "crash-late": anImage, "exit-zero": anImage, "hangs": anImage,
	"hangs-later": anImage, "never-ends": anImage, "out-of-memory": anImage, "pull-architecture": anImage, "pull-denied": anImage, "pull-disk-full": anImage,
	"pull-no-repository": anImage, "pull-not-found": anImage, "pull-rate-limit": anImage, "pull-timeout": anImage, "slow-boot": anImage,
	"start-no-executable": anImage, "turns-unhealthy": anImage, "unhealthy": anImage, "wrong-port": anImage, "image-gone": aTag,

	"agent-disconnected": "NAME", "dependency-failed": "NAME", "efs-mount-failed": "NAME", "execution-role-unassumable": "NAME", "health-check-disabled": "NAME",
	"network-timeout": "NAME", "no-instance": "NAME", "scheduler-throttled": "NAME", "secret-denied": "NAME", "secret-key-missing": "NAME",
	"service-connect-fails": "NAME", "sidecar-injected": "NAME", "stuck-pending": "NAME", "subnet-full": "NAME", "target-group-deleted": "NAME",
	"target-group-detached": "NAME", "volume-failed": "NAME", "zone-not-enabled": "NAME", "controller-code-deploy": "NAME", "controller-external": "NAME",
	"count-changed": "main/NAME", "fargate-retirement": "main/NAME", "foreign-deployment": "main/NAME", "tasks-protected": "main/NAME",
	"tasks-stopped": "main/NAME", "two-controllers": "main/NAME", "alarm-no-data": "NAME-5xx", "alarm-red": "NAME-db-cpu", "log-group-gone": "/ecs/NAME",
	"parameter-gone": "/NAME/task-definition", "secret-gone": "NAME/db", "secret-rotated": "NAME/db", "stack-busy": "NAME-dev", "stack-gone": "NAME-dev",
	"zone-away": "eu-central-1a", "zone-lost": "eu-central-1b",

	"breaker-stalls": nothingOfOurs, "capacity-unavailable": nothingOfOurs, "logs-late": nothingOfOurs, "reads-stale": nothingOfOurs,
	"records-late": nothingOfOurs, "security-group-gone": nothingOfOurs, "service-linked-role": nothingOfOurs, "stopped-tasks-forgotten": nothingOfOurs,
	"subnet-gone": nothingOfOurs, "vcpu-quota": nothingOfOurs,
}

// troublesNotDrawn are the others, and why.
var troublesNotDrawn = map[string]string{
	"clock-skew":                 "AWS's clock does not jump; the controller's does, by a deed of its own",
	"delete-above-zero":          "the controller deletes no service",
	"deletion-fails":             "no queue in these worlds",
	"events-doubled":             "no queue in these worlds",
	"events-late":                "no queue in these worlds",
	"events-lost":                "no queue in these worlds",
	"events-shuffled":            "no queue in these worlds",
	"list-short":                 "the controller does not list services",
	"revision-deregistered":      "the deed `deregister what runs` does so",
	"service-deleted":            "the deed `delete the service` does so",
	"service-draining":           "the controller creates no service",
	"service-exists":             "the controller creates no service",
	"spot-interruption":          "nothing runs on Spot in these worlds",
	"stopping-deployment-denied": "the controller stops no deployment",
}
