package main

import (
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
)

const githubIssuer = "https://token.actions.githubusercontent.com"

// The names of the pipeline's roles, the same in every account.
const (
	deployRole = "cicd-deploy-role"
	planRole   = "cicd-plan-role"
)

// buildBase makes the registries, the pipeline's roles and the parameter of the last good revision.
func buildBase(stack awscdk.Stack, s Settings) {
	newRepository(stack, s, "WorkerRepository", workerRepository)
	newRepository(stack, s, "ControllerRepository", controllerRepository)
	awsiam.NewCfnOIDCProvider(stack, text("GitHub"), &awsiam.CfnOIDCProviderProps{
		Url: text(githubIssuer), ClientIdList: texts("sts.amazonaws.com"),
	})
	after(stack, newRole(stack, "DeployRole", deployRole, "GitHub workflows of this environment: push images, deploy the stacks", s.workflowsMayAssume("environment:"+s.Env), s.deployPolicy()), "GitHub")
	after(stack, newRole(stack, "PlanRole", planRole, "GitHub workflows on pull requests: controller plan", s.workflowsMayAssume("pull_request"), s.planPolicy()), "GitHub")
	// The value is the same for ever, so that no update of this stack ever sets it back: the controller keeps it, at the last
	// good revision.
	awsssm.NewCfnParameter(stack, text("TaskDefinition"), &awsssm.CfnParameterProps{
		Name: text(s.parameter()), Type: text("String"), Value: text(s.templateFamily()),
		Description: text("The last good revision of " + service + ". The controller writes it; the stack's service reads it"),
	})
	output(stack, "RepoUri", s.repositoryURI(workerRepository), "Where the worker's images are pushed")
	output(stack, "ControllerRepoUri", s.repositoryURI(controllerRepository), "Where the controller's images are pushed")
	output(stack, "DeployRoleArn", "arn:aws:iam::"+s.Account+":role/"+deployRole, "Taken by workflows that run for this environment")
	output(stack, "PlanRoleArn", "arn:aws:iam::"+s.Account+":role/"+planRole, "Taken by workflows on pull requests; reads only")
}

func output(stack awscdk.Stack, name, value, description string) {
	awscdk.NewCfnOutput(stack, &name, &awscdk.CfnOutputProps{Value: &value, Description: &description})
}

// newRepository makes a registry's repository. Nothing that has a tag ever expires: the newest ten revisions, the last good one
// and whatever another account was promoted are referred to by digests of tagged images, and how old those are nobody can bound.
// An image of some 10 MB costs a tenth of a cent a month. Without a tag are only pushes that were broken off, and parts of an
// index, which ECR keeps as long as the index.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
func newRepository(stack awscdk.Stack, s Settings, id, name string) {
	lifecycle, err := json.Marshal(map[string]any{"rules": []any{map[string]any{
		"rulePriority": 1, "description": "what has no tag, a month after its push",
		"selection": map[string]any{"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 30},
		"action":    map[string]any{"type": "expire"},
	}}})
	if err != nil {
		panic(err) // of words and numbers
	}
	props := &awsecr.CfnRepositoryProps{
		RepositoryName: &name, ImageTagMutability: text("IMMUTABLE"),
		ImageScanningConfiguration: &awsecr.CfnRepository_ImageScanningConfigurationProperty{ScanOnPush: true},
		EncryptionConfiguration:    &awsecr.CfnRepository_EncryptionConfigurationProperty{EncryptionType: text("AES256")},
		LifecyclePolicy:            &awsecr.CfnRepository_LifecyclePolicyProperty{LifecyclePolicyText: text(string(lifecycle))},
	}
	if len(s.ImagesReadBy) > 0 {
		props.RepositoryPolicyText = readers(s.ImagesReadBy)
	}
	// A deleted stack must not take the images with it that other accounts still are to be promoted.
	awsecr.NewCfnRepository(stack, &id, props).ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
}

// readers lets the pipelines of other accounts copy images by digest. The account is the principal and the role a condition,
// because ECR refuses a principal that does not exist yet.
func readers(accounts []string) map[string]any {
	var principals, roles []string
	for _, account := range accounts {
		principals = append(principals, "arn:aws:iam::"+account+":root")
		roles = append(roles, "arn:aws:iam::"+account+":role/"+deployRole)
	}
	return map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Sid": "Promote", "Effect": "Allow", "Principal": map[string]any{"AWS": principals},
		"Action":    []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"},
		"Condition": map[string]any{"ArnEquals": map[string]any{"aws:PrincipalArn": roles}},
	}}}
}

// deployPolicy is what the pipeline does in this account: it pushes images, copies those of the accounts before, and hands
// stacks to the CDK's own roles. It never touches ECS.
func (s Settings) deployPolicy() []statement {
	own := []string{s.arn("ecr", "repository/"+workerRepository), s.arn("ecr", "repository/"+controllerRepository)}
	list := []statement{
		{sid: "LogIn", actions: []string{"ecr:GetAuthorizationToken"}, resources: []string{"*"}, why: "ECR's token is the registry's, and authorized on no resource"},
		{sid: "Push", resources: own, actions: []string{
			"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer",
			"ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"}},
		{sid: "HandToCdk", actions: []string{"sts:AssumeRole"}, resources: s.cdkRoles()},
	}
	var others []string
	for _, account := range s.ImagesFrom {
		for _, name := range []string{workerRepository, controllerRepository} {
			others = append(others, "arn:aws:ecr:"+s.Region+":"+account+":repository/"+name)
		}
	}
	if len(others) > 0 {
		list = append(list, statement{sid: "Promote", resources: others,
			actions: []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"}})
	}
	return list
}

// cdkRoles are those that `cdk bootstrap` made, by its default qualifier.
// https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
func (s Settings) cdkRoles() []string {
	var roles []string
	for _, part := range []string{"deploy", "file-publishing", "lookup"} {
		roles = append(roles, "arn:aws:iam::"+s.Account+":role/cdk-hnb659fds-"+part+"-role-"+s.Account+"-"+s.Region)
	}
	return roles
}
