package wire

import (
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	ecsdocument "github.com/aws/aws-sdk-go-v2/service/ecs/document"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Service says how one AWS service looks on the wire and which value carries it out. The values of the
// constructors below are those of the service models in botocore (metadata of service-2.json).
type Service struct {
	Name    string // SigV4 signing name; the name that Call carries
	Target  string // X-Amz-Target prefix and RPC v2 service name; empty: speaks no JSON
	Version string // Version of the query protocol; empty: speaks no query
	XMLNS   string // namespace of query answers

	LowerCamel   bool     // member names begin with a lower-case letter
	Flipped      []string // types, or Type.Field, whose member names are the other way round
	ErrorMessage string   // the member of an error's body that holds its text
	Namespace    string   // Smithy namespace, told before an error's name in CBOR
	QueryErrors  bool     // JSON and CBOR errors carry their query code too (awsQueryCompatible)

	Flattened   map[string]Flat // by Go member name, or Type.Field: what the query protocol flattens
	QueryStatus map[string]int  // HTTP status of errors in query answers, by shape, where it is not 400 or 500
	PathMember  string          // the member that a query request may leave to the path of its URL

	Methods any // its methods of the form told above are the operations

	// Unions lists, for each union that an operation's types reach, a pointer to every member of it:
	// Go's reflection cannot find them from the interface.
	Unions []any
	// Kept lists, by an empty one of each, the types of lists whose items never change once its methods answered them. Such an item is
	// written once and remembered, and lists that share the memory of their items cost little.
	Kept []any
	// Document makes the service's document type of a decoded value; nil where it has none.
	Document func(any) any
}

// ECS is Amazon ECS, carried out by methods.
func ECS(methods any) Service {
	return Service{
		Name: "ecs", Target: "AmazonEC2ContainerServiceV20141113", LowerCamel: true, ErrorMessage: "message",
		Methods: methods,
		Kept:    []any{[]ecstypes.ServiceEvent{}}, // a hundred in each service, in each answer
		Unions: []any{
			&ecstypes.DescribeGatewayConfigurationMemberHostSharedAlb{},
			&ecstypes.GatewayConfigurationMemberHostSharedAlb{},
			&ecstypes.GatewayConnectionResourcesMemberHostSharedAlb{},
			&ecstypes.GatewayElbAccessLogDestinationMemberS3{},
			&ecstypes.GatewayInfrastructureResourcesMemberHostSharedAlb{},
			&ecstypes.GatewayRouteResourcesMemberHostSharedAlb{},
			&ecstypes.ServiceConnectContainerConfigurationMemberLogLevel{},
			&ecstypes.SharingStrategyMemberNvidiaMps{},
			&ecstypes.UpdateGatewayConfigurationMemberHostSharedAlb{},
		},
		Document: func(v any) any { return ecsdocument.NewLazyDocument(v) },
	}
}

// ELB is Elastic Load Balancing v2, carried out by methods.
func ELB(methods any) Service {
	return Service{
		Name: "elasticloadbalancing", Version: "2015-12-01",
		XMLNS: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", Methods: methods,
	}
}

// CloudWatch is CloudWatch metrics and alarms, carried out by methods. It answers in CBOR, JSON and query:
// the Go SDK sends the first, botocore the second, older SDKs the third.
func CloudWatch(methods any) Service {
	return Service{
		Name: "monitoring", Target: "GraniteServiceVersion20100801", Version: "2010-08-01",
		XMLNS: "http://monitoring.amazonaws.com/doc/2010-08-01/", ErrorMessage: "message",
		Namespace: "com.amazonaws.cloudwatch", QueryErrors: true, Methods: methods,
		Unions: []any{
			&cwtypes.EvaluationCriteriaMemberPromQLCriteria{},
			&cwtypes.EvaluationWindowMemberSlidingWindow{},
			&cwtypes.EvaluationWindowMemberWallClockWindow{},
		},
	}
}

// Logs is CloudWatch Logs, carried out by methods.
func Logs(methods any) Service {
	return Service{
		Name: "logs", Target: "Logs_20140328", LowerCamel: true, ErrorMessage: "message", Methods: methods,
		Flipped: []string{"DescribeDestinationsInput.DestinationNamePrefix"},
	}
}

// ECR is the container registry's API, carried out by methods.
func ECR(methods any) Service {
	return Service{
		Name: "ecr", Target: "AmazonEC2ContainerRegistry_V20150921", LowerCamel: true, ErrorMessage: "message",
		Flipped: []string{"Tag"}, Methods: methods,
	}
}

// CloudFormation is carried out by methods.
func CloudFormation(methods any) Service {
	return Service{
		Name: "cloudformation", Version: "2010-05-15",
		XMLNS: "http://cloudformation.amazonaws.com/doc/2010-05-15/", Methods: methods,
	}
}

// SecretsManager is carried out by methods.
func SecretsManager(methods any) Service {
	return Service{Name: "secretsmanager", Target: "secretsmanager", ErrorMessage: "Message", Methods: methods}
}

// SSM is Systems Manager, here its parameter store, carried out by methods.
func SSM(methods any) Service {
	return Service{
		Name: "ssm", Target: "AmazonSSM", ErrorMessage: "message", Methods: methods,
		Flipped: []string{
			"AssociationFilter", "CommandFilter", "DocumentFilter", "InstanceInformationFilter",
			"InstancePropertyFilter", "SessionFilter",
		},
	}
}

// STS is the Security Token Service, carried out by methods.
func STS(methods any) Service {
	return Service{
		Name: "sts", Version: "2011-06-15", XMLNS: "https://sts.amazonaws.com/doc/2011-06-15/",
		Flipped: []string{"PolicyDescriptorType"}, Methods: methods,
	}
}

// SQS is the Simple Queue Service, carried out by methods. It answers in JSON and, to clients from before the end of
// 2023, in query, where every list and map is flattened; their names are those of botocore's model of that time.
func SQS(methods any) Service {
	attribute, tag := Flat{Name: "Attribute", Key: "Name", Value: "Value"}, Flat{Name: "Tag", Also: "Tags", Key: "Key", Value: "Value"}
	return Service{
		Name: "sqs", Target: "AmazonSQS", ErrorMessage: "message", QueryErrors: true, Methods: methods,
		Version: "2012-11-05", XMLNS: "http://queue.amazonaws.com/doc/2012-11-05/", PathMember: "QueueUrl",
		Flipped:     []string{"CreateQueueInput.Tags", "ListDeadLetterSourceQueuesOutput.QueueUrls"},
		QueryStatus: map[string]int{"OverLimit": 403, "PurgeQueueInProgress": 403, "ResourceNotFoundException": 404},
		Flattened: map[string]Flat{
			"Attributes": attribute, "Tags": tag,
			"MessageAttributes":       {Name: "MessageAttribute", Key: "Name", Value: "Value"},
			"MessageSystemAttributes": {Name: "MessageSystemAttribute", Key: "Name", Value: "Value"},
			"AWSAccountIds":           {Name: "AWSAccountId"}, "Actions": {Name: "ActionName"},
			"AttributeNames": {Name: "AttributeName"}, "MessageAttributeNames": {Name: "MessageAttributeName"},
			"MessageSystemAttributeNames": {Name: "MessageSystemAttributeName"},
			"StringListValues":            {Name: "StringListValue"}, "BinaryListValues": {Name: "BinaryListValue"},
			"TagKeys": {Name: "TagKey"}, "QueueUrls": {Name: "QueueUrl"}, "Messages": {Name: "Message"},
			"Results":                                       {Name: "ListMessageMoveTasksResultEntry"},
			"Failed":                                        {Name: "BatchResultErrorEntry"},
			"SendMessageBatchInput.Entries":                 {Name: "SendMessageBatchRequestEntry"},
			"SendMessageBatchOutput.Successful":             {Name: "SendMessageBatchResultEntry"},
			"DeleteMessageBatchInput.Entries":               {Name: "DeleteMessageBatchRequestEntry"},
			"DeleteMessageBatchOutput.Successful":           {Name: "DeleteMessageBatchResultEntry"},
			"ChangeMessageVisibilityBatchInput.Entries":     {Name: "ChangeMessageVisibilityBatchRequestEntry"},
			"ChangeMessageVisibilityBatchOutput.Successful": {Name: "ChangeMessageVisibilityBatchResultEntry"},
		},
	}
}

// EventBridge is carried out by methods.
func EventBridge(methods any) Service {
	return Service{
		Name: "events", Target: "AWSEvents", ErrorMessage: "message", Methods: methods,
		Flipped: []string{"CapacityProviderStrategyItem", "NetworkConfiguration", "PlacementConstraint", "PlacementStrategy"},
	}
}

// AutoScaling is Application Auto Scaling, carried out by methods.
func AutoScaling(methods any) Service {
	return Service{Name: "application-autoscaling", Target: "AnyScaleFrontendService", ErrorMessage: "Message", Methods: methods}
}

// DynamoDB is carried out by methods.
func DynamoDB(methods any) Service {
	return Service{
		Name: "dynamodb", Target: "DynamoDB_20120810", ErrorMessage: "message", Methods: methods,
		Unions: []any{
			&ddbtypes.AttributeValueMemberB{}, &ddbtypes.AttributeValueMemberBOOL{}, &ddbtypes.AttributeValueMemberBS{},
			&ddbtypes.AttributeValueMemberL{}, &ddbtypes.AttributeValueMemberM{}, &ddbtypes.AttributeValueMemberN{},
			&ddbtypes.AttributeValueMemberNS{}, &ddbtypes.AttributeValueMemberNULL{}, &ddbtypes.AttributeValueMemberS{},
			&ddbtypes.AttributeValueMemberSS{},
		},
	}
}
