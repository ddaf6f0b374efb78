package sim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/canteen/deploy/controller/sim"
)

const baseTemplate = `{"Resources": {
	"Last": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/shop/last", "Type": "String", "Value": "shop-template"}}
}}`

const shopTemplate = `{
	"Parameters": {"Last": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/shop/last"}},
	"Conditions": {"New": {"Fn::Equals": [{"Ref": "Last"}, "shop-template"]}, "Old": {"Fn::Not": [{"Condition": "New"}]}},
	"Resources": {
		"Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "shop"}},
		"Net": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Fn::Cidr": "is not looked at"}}},
		"Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"AvailabilityZone": "eu-central-1a", "VpcId": {"Ref": "Net"}}},
		"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"VpcId": {"Ref": "Net"}}},
		"Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"Family": "shop-template", "RequiresCompatibilities": ["FARGATE"], "NetworkMode": "awsvpc", "Cpu": "256", "Memory": "512",
			"ExecutionRoleArn": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::", {"Ref": "AWS::AccountId"}, ":role/shop"]]},
			"ContainerDefinitions": [{"Name": "app", "Image": "public.example/shop:1", "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "/shop", "awslogs-region": {"Ref": "AWS::Region"}, "awslogs-stream-prefix": "shop"}}}]}},
		"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/shop"}},
		"Service": {"Type": "AWS::ECS::Service", "Properties": {"Cluster": "shop", "ServiceName": "shop", "LaunchType": "FARGATE", "TaskDefinition": "{{resolve:ssm:/shop/last}}",
			"DesiredCount": {"Fn::If": ["New", 0, {"Ref": "AWS::NoValue"}]},
			"NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": [{"Ref": "Subnet"}], "SecurityGroups": [{"Fn::GetAtt": ["Group", "GroupId"]}]}}}},
		"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "shop-low", "Namespace": "N", "MetricName": "M", "Statistic": "Minimum", "ComparisonOperator": "LessThanThreshold",
			"Threshold": 5, "Period": 60, "EvaluationPeriods": 3, "TreatMissingData": "breaching", "Dimensions": [{"Name": "D", "Value": "v"}]}},
		"Errors": {"Type": "AWS::CloudWatch::Alarm", "Condition": "Old", "Properties": {"AlarmName": "shop-errors", "ComparisonOperator": "GreaterThanThreshold", "Threshold": 5, "EvaluationPeriods": 3, "DatapointsToAlarm": 1, "Metrics": [
			{"Id": "all", "Expression": "a + b"},
			{"Id": "a", "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "A", "Dimensions": [{"Name": "D", "Value": "v"}]}, "Stat": "Sum", "Period": 60}, "ReturnData": false},
			{"Id": "b", "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "B"}, "Stat": "Sum", "Period": 60}, "ReturnData": false}]}},
		"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "shop", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]}}
	},
	"Outputs": {"Subnets": {"Value": {"Fn::Join": [",", [{"Ref": "Subnet"}]]}}, "Stack": {"Value": {"Ref": "AWS::StackName"}}}
}`

// Templates become an account: by their own names and numbers, with what is made up agreeing everywhere.
func TestTemplatesBecomeAnAccount(t *testing.T) {
	read := func(last string) sim.Reading {
		r, err := sim.ReadTemplates(sim.Template{Stack: "base", Body: []byte(strings.Replace(baseTemplate, `"Value": "shop-template"`, `"Value": "`+last+`"`, 1))},
			sim.Template{Stack: "shop", Body: []byte(shopTemplate)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := read("shop-template")
	if why := r.Not["AWS::EC2::VPC"]; len(r.Not) != 1 || why == "" || len(r.Played) != 9 {
		t.Errorf("played %v, not %v", r.Played, r.Not)
	}
	a, err := sim.New(sim.Config{Unthrottled: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if err := a.Plant(t.Context(), r.Seed); err != nil {
		t.Fatal(err)
	}
	s := ok(t, ecs.NewFromConfig(a.AWSConfig()).DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{"shop"}}).Services[0]
	stack, _ := a.CFN.Get("shop")
	network := s.NetworkConfiguration.AwsvpcConfiguration
	if s.DesiredCount != 0 || !strings.Contains(*s.TaskDefinition, "/shop-template:1") || stack.Outputs["Subnets"] != network.Subnets[0] || stack.Outputs["Stack"] != "shop" {
		t.Errorf("the service is %d tasks of %s in %v, outputs %v", s.DesiredCount, *s.TaskDefinition, network.Subnets, stack.Outputs)
	}
	td := ok(t, ecs.NewFromConfig(a.AWSConfig()).DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: s.TaskDefinition}).TaskDefinition
	if *td.ExecutionRoleArn != "arn:aws:iam::000000000000:role/shop" || td.ContainerDefinitions[0].LogConfiguration.Options["awslogs-region"] != "eu-central-1" {
		t.Errorf("the task definition has role %s and logs %v", *td.ExecutionRoleArn, td.ContainerDefinitions[0].LogConfiguration.Options)
	}
	alarm := ok(t, cloudwatch.NewFromConfig(a.AWSConfig()).DescribeAlarms, &cloudwatch.DescribeAlarmsInput{}).MetricAlarms[0]
	if alarm.ComparisonOperator != "LessThanThreshold" || *alarm.EvaluationPeriods != 3 || *alarm.TreatMissingData != "breaching" || *alarm.Dimensions[0].Value != "v" {
		t.Errorf("the alarm is %+v", alarm)
	}
	key := map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: "a"}, "sk": &dbtypes.AttributeValueMemberS{Value: "b"}}
	ok(t, dynamodb.NewFromConfig(a.AWSConfig()).GetItem, &dynamodb.GetItemInput{TableName: aws.String("shop"), Key: key})

	// What has a condition is there while it holds; of an expression the first metric is watched.
	if n := len(r.Seed.Alarms); n != 1 {
		t.Errorf("there are %d alarms before anything was good", n)
	}
	old := read("shop:7").Seed
	if len(old.Alarms) != 2 || old.Alarms[1].Metric != "A" || old.Alarms[1].Namespace != "N" || old.Alarms[1].Statistic != "Sum" || old.Alarms[1].Period != 60 || old.Alarms[1].Datapoints != 1 || old.Alarms[1].Dimensions["D"] != "v" {
		t.Errorf("the alarms are %+v", old.Alarms)
	}

	// Once the parameter names something else, the count is nobody's.
	sent := old.Services[0]
	if _, counted := sent["desiredCount"]; counted || sent["taskDefinition"] != "shop:7" {
		t.Errorf("with another value of the parameter the service is %v", sent)
	}
}

func TestTemplatesThatCannotBeRead(t *testing.T) {
	for body, want := range map[string]string{
		`{"Resources": {"A": {"Type": "AWS::Lambda::Function"}}}`:                                                                                               "resource A: type AWS::Lambda::Function is neither played nor known not to be",
		`{"Resources": {"A": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": {"Fn::Sub": "x"}}}}}`:                                                  "Fn::Sub is not modelled",
		`{"Resources": {"A": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": {"Ref": "B"}}}}}`:                                                      "Ref names B, which the template does not have",
		`{"Resources": {"A": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "{{resolve:ssm:/none}}"}}}}`:                                           "parameter /none is in no template before this one",
		`{"Conditions": {"C": {"Fn::Not": []}}, "Resources": {"A": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": {"Fn::If": ["C", "a", "b"]}}}}}`: "condition C is not Fn::Equals",
		`{"Resources": {"A": {"Type": "AWS::ECS::Cluster", "Condition": "C", "Properties": {"ClusterName": "a"}}}}`:                                             "resource A: condition C is not Fn::Equals",
		`{"Resources": {"A": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "a", "Metrics": [{"Id": "e", "Expression": "1"}]}}}}`:               "alarm a has neither a metric nor an expression of some",
		`{"Resources": {"A": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "a", "SecretString": "x"}}}}`:                                       "only generated secrets",
		`[]`: "template of shop:",
	} {
		if _, err := sim.ReadTemplates(sim.Template{Stack: "shop", Body: []byte(body)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
