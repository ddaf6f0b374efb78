package client

import "time"

// Bucket is one of AWS's request budgets: Burst requests at once, Refill requests a second after that.
type Bucket struct {
	Burst  float64
	Refill float64
}

// The budgets. ECS's are those of the API reference's page on request throttling: per account and region, shared by all
// callers and by all actions of a category.
const (
	BucketServiceRead       = "ecs service read"
	BucketServiceModify     = "ecs service modify"
	BucketTaskDefRead       = "ecs task definition read"
	BucketTaskDefModify     = "ecs task definition modify"
	BucketTaskRead          = "ecs cluster resource read"
	BucketTaskModify        = "ecs cluster resource modify"
	BucketRunTask           = "ecs run task"
	BucketServiceDeployment = "ecs service deployment read"
	BucketTagModify         = "ecs tag modify"
	BucketELB               = "elb read"
	BucketAlarms            = "cloudwatch describe alarms"
	BucketFilterLogs        = "logs filter"
	BucketGetLogs           = "logs get"
	BucketStacks            = "cloudformation read"
	BucketImages            = "ecr read"
	BucketManifests         = "ecr manifest read"
	BucketLayers            = "ecr layer read"
	BucketDownloads         = "s3 read"
	BucketParameterRead     = "ssm read"
	BucketParameterModify   = "ssm modify"
	BucketSecrets           = "secretsmanager read"
	BucketIdentity          = "sts read"
	BucketQueue             = "sqs"
)

// defaultBuckets are AWS's own numbers, before the controller's share is taken of them.
func defaultBuckets() map[string]Bucket {
	return map[string]Bucket{
		BucketServiceRead:       {100, 20},
		BucketServiceModify:     {50, 5},
		BucketTaskDefRead:       {50, 20},
		BucketTaskDefModify:     {20, 1},
		BucketTaskRead:          {100, 20},
		BucketTaskModify:        {100, 40},
		BucketRunTask:           {20, 20}, // Fargate's own, below the category's 100 and 40
		BucketServiceDeployment: {50, 20},
		BucketTagModify:         {20, 10},
		BucketELB:               {40, 10}, // the page also says 200 and 50; the smaller is the safe one
		BucketAlarms:            {9, 9},   // ECS's own polling of alarms draws on it too
		BucketFilterLogs:        {5, 5},   // eu-central-1; 10 or 25 in other regions
		BucketGetLogs:           {10, 10},
		BucketStacks:            {10, 10},
		BucketImages:            {200, 100},
		BucketManifests:         {2000, 2000}, // ECR's page on service quotas; every task that starts draws on this one and the next
		BucketLayers:            {3000, 3000},
		BucketDownloads:         {5500, 5500}, // S3's page on performance, of a prefix
		BucketParameterRead:     {40, 40},
		BucketParameterModify:   {3, 3},
		BucketSecrets:           {50, 50},
		BucketIdentity:          {100, 100},
		BucketQueue:             {100, 100}, // of a standard queue AWS says "a very high, nearly unlimited number of API calls per second"
	}
}

// call says which budget an operation draws on, whether it changes the account, and how long it may wait at AWS by itself.
type call struct {
	bucket string
	write  bool
	waits  time.Duration
}

// QueueWait is how long ReceiveMessage waits for a message: the most that AWS allows.
const QueueWait = 20 * time.Second

// The services, by the words that metrics use.
const (
	serviceECS            = "ecs"
	serviceELB            = "elasticloadbalancing"
	serviceLogs           = "logs"
	serviceECR            = "ecr"
	serviceS3             = "s3"
	serviceCloudFormation = "cloudformation"
	serviceCloudWatch     = "cloudwatch"
	serviceSSM            = "ssm"
	serviceSTS            = "sts"
	serviceSecrets        = "secretsmanager"
	serviceSQS            = "sqs"
)

// calls is every operation that the controller may make. One that is not here is refused before it is sent: it would draw
// on no budget, and it would open the metrics' closed sets of labels.
func calls() map[string]map[string]call {
	return map[string]map[string]call{
		serviceECS: {
			"DescribeServices":           {bucket: BucketServiceRead},
			"UpdateService":              {bucket: BucketServiceModify, write: true},
			"DescribeTaskDefinition":     {bucket: BucketTaskDefRead},
			"ListTaskDefinitions":        {bucket: BucketTaskDefRead},
			"RegisterTaskDefinition":     {bucket: BucketTaskDefModify, write: true},
			"ListTasks":                  {bucket: BucketTaskRead},
			"DescribeTasks":              {bucket: BucketTaskRead},
			"RunTask":                    {bucket: BucketRunTask, write: true},
			"StopTask":                   {bucket: BucketTaskModify, write: true},
			"ListServiceDeployments":     {bucket: BucketServiceDeployment},
			"DescribeServiceDeployments": {bucket: BucketServiceDeployment},
			"TagResource":                {bucket: BucketTagModify, write: true},
		},
		serviceELB:  {"DescribeTargetHealth": {bucket: BucketELB}},
		serviceLogs: {"FilterLogEvents": {bucket: BucketFilterLogs}, "GetLogEvents": {bucket: BucketGetLogs}},
		serviceECR: {
			"DescribeImages":         {bucket: BucketImages},
			"BatchGetImage":          {bucket: BucketManifests},
			"GetDownloadUrlForLayer": {bucket: BucketLayers},
		},
		// Not by a client of the SDK: from where GetDownloadUrlForLayer says, without credentials (Downloads).
		serviceS3:             {operationDownload: {bucket: BucketDownloads}},
		serviceCloudFormation: {"DescribeStacks": {bucket: BucketStacks}},
		serviceCloudWatch:     {"DescribeAlarms": {bucket: BucketAlarms}},
		serviceSSM:            {"GetParameter": {bucket: BucketParameterRead}, "PutParameter": {bucket: BucketParameterModify, write: true}},
		serviceSTS:            {"GetCallerIdentity": {bucket: BucketIdentity}},
		serviceSecrets:        {"DescribeSecret": {bucket: BucketSecrets}},
		// A message is hidden for a while by receiving it, whoever does; nothing is lost by that. To delete one is a write.
		serviceSQS: {
			"ReceiveMessage":     {bucket: BucketQueue, waits: QueueWait},
			"DeleteMessageBatch": {bucket: BucketQueue, write: true},
		},
	}
}
