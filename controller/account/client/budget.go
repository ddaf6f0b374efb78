package client

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
	BucketParameterRead     = "ssm read"
	BucketParameterModify   = "ssm modify"
	BucketSecrets           = "secretsmanager read"
	BucketIdentity          = "sts read"
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
		BucketParameterRead:     {40, 40},
		BucketParameterModify:   {3, 3},
		BucketSecrets:           {50, 50},
		BucketIdentity:          {100, 100},
	}
}

// call says which budget an operation draws on and whether it changes the account.
type call struct {
	bucket string
	write  bool
}

// The services, by the words that metrics use.
const (
	serviceECS            = "ecs"
	serviceELB            = "elasticloadbalancing"
	serviceLogs           = "logs"
	serviceECR            = "ecr"
	serviceCloudFormation = "cloudformation"
	serviceCloudWatch     = "cloudwatch"
	serviceSSM            = "ssm"
	serviceSTS            = "sts"
	serviceSecrets        = "secretsmanager"
)

// calls is every operation that the controller may make. One that is not here is refused before it is sent: it would draw
// on no budget, and it would open the metrics' closed sets of labels.
func calls() map[string]map[string]call {
	return map[string]map[string]call{
		serviceECS: {
			"DescribeServices":           {BucketServiceRead, false},
			"UpdateService":              {BucketServiceModify, true},
			"DescribeTaskDefinition":     {BucketTaskDefRead, false},
			"ListTaskDefinitions":        {BucketTaskDefRead, false},
			"RegisterTaskDefinition":     {BucketTaskDefModify, true},
			"ListTasks":                  {BucketTaskRead, false},
			"DescribeTasks":              {BucketTaskRead, false},
			"RunTask":                    {BucketRunTask, true},
			"StopTask":                   {BucketTaskModify, true},
			"ListServiceDeployments":     {BucketServiceDeployment, false},
			"DescribeServiceDeployments": {BucketServiceDeployment, false},
			"TagResource":                {BucketTagModify, true},
		},
		serviceELB:            {"DescribeTargetHealth": {BucketELB, false}},
		serviceLogs:           {"FilterLogEvents": {BucketFilterLogs, false}, "GetLogEvents": {BucketGetLogs, false}},
		serviceECR:            {"DescribeImages": {BucketImages, false}},
		serviceCloudFormation: {"DescribeStacks": {BucketStacks, false}},
		serviceCloudWatch:     {"DescribeAlarms": {BucketAlarms, false}},
		serviceSSM:            {"GetParameter": {BucketParameterRead, false}, "PutParameter": {BucketParameterModify, true}},
		serviceSTS:            {"GetCallerIdentity": {BucketIdentity, false}},
		serviceSecrets:        {"DescribeSecret": {BucketSecrets, false}},
	}
}
