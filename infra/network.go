package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
)

// network is where everything runs: load balancers in public subnets, tasks in private ones, the database in subnets without
// any way out.
type network struct {
	vpc                                    awsec2.Vpc
	apps, controllers, data, public        *awsec2.SubnetSelection
	appTasks, controllerTasks, front, gate awsec2.SecurityGroup // gate is the controller's load balancer, front the service's
}

// The groups of subnets.
const (
	publicSubnets     = "Public"
	appSubnets        = "App"
	controllerSubnets = "Controller"
	dataSubnets       = "Data"
)

func newNetwork(stack awscdk.Stack, s Settings) network {
	apps := awsec2.SubnetType_PRIVATE_WITH_EGRESS
	if s.Egress == egressEndpoints {
		apps = awsec2.SubnetType_PRIVATE_ISOLATED
	}
	group := func(name string, kind awsec2.SubnetType, mask int) *awsec2.SubnetConfiguration {
		return &awsec2.SubnetConfiguration{Name: &name, SubnetType: kind, CidrMask: number(mask)}
	}
	zones := s.zones()
	n := network{vpc: awsec2.NewVpc(stack, text("Vpc"), &awsec2.VpcProps{
		VpcName: text(s.stackName()), IpAddresses: awsec2.IpAddresses_Cidr(&s.Cidr),
		// Written out, not looked up: a template must not depend on who synthesizes it.
		AvailabilityZones: texts(zones...), NatGateways: number(min(s.NatGateways, len(zones))),
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{
			group(publicSubnets, awsec2.SubnetType_PUBLIC, 24), group(appSubnets, apps, 22),
			// The controller's git host is on the internet, whatever the way of the tasks is.
			group(controllerSubnets, awsec2.SubnetType_PRIVATE_WITH_EGRESS, 26), group(dataSubnets, awsec2.SubnetType_PRIVATE_ISOLATED, 26),
		},
		RestrictDefaultSecurityGroup: jsii.Bool(false), // it takes a function with rights of its own; nothing is in that group
	})}
	for name, at := range map[string]**awsec2.SubnetSelection{publicSubnets: &n.public, appSubnets: &n.apps, controllerSubnets: &n.controllers, dataSubnets: &n.data} {
		*at = &awsec2.SubnetSelection{SubnetGroupName: text(name)}
	}
	n.groups(stack, s)
	n.endpoints(stack, s)
	return n
}

// groups are the security groups of tasks and load balancers: nobody hears more than his neighbour.
func (n *network) groups(stack awscdk.Stack, s Settings) {
	group := func(id, name, description string) awsec2.SecurityGroup {
		return awsec2.NewSecurityGroup(stack, &id, &awsec2.SecurityGroupProps{
			Vpc: n.vpc, SecurityGroupName: text(s.named(name)), Description: &description, AllowAllOutbound: jsii.Bool(false),
		})
	}
	n.front = group("FrontGroup", "front", "The load balancer that the world reaches")
	n.appTasks = group("AppGroup", "app", "Tasks of the service, migrations too")
	n.gate = group("GateGroup", "gate", "The load balancer in front of the controller")
	n.controllerTasks = group("ControllerGroup", "controller", "The controller")

	https, http, app := awsec2.Port_Tcp(number(443)), awsec2.Port_Tcp(number(80)), awsec2.Port_Tcp(number(port))
	n.front.AddIngressRule(awsec2.Peer_AnyIpv4(), https, text("orders"), nil)
	n.front.AddIngressRule(awsec2.Peer_AnyIpv4(), http, text("sent on to https"), nil)
	n.front.AddEgressRule(n.appTasks, app, text("orders and health checks"), nil)
	n.appTasks.AddIngressRule(n.front, app, text("orders and health checks"), nil)
	n.appTasks.AddEgressRule(awsec2.Peer_AnyIpv4(), https, text("AWS: registry, logs, secrets, queue"), nil)

	n.gate.AddIngressRule(awsec2.Peer_Ipv4(&s.Cidr), https, text("people, from inside"), nil)
	n.gate.AddEgressRule(n.controllerTasks, app, text("page and health checks"), nil)
	n.gate.AddEgressRule(awsec2.Peer_AnyIpv4(), https, text("whoever logs people in"), nil)
	n.controllerTasks.AddIngressRule(n.gate, app, text("page and health checks"), nil)
	n.controllerTasks.AddIngressRule(awsec2.Peer_Ipv4(&s.Cidr), app, text("metrics"), nil)
	n.controllerTasks.AddEgressRule(awsec2.Peer_AnyIpv4(), https, text("git host and AWS"), nil)
}

// endpoints reach AWS without the internet. Those of S3 and DynamoDB cost nothing and are always there: images' layers and the
// ledger's heartbeats need not pay for a NAT gateway.
func (n *network) endpoints(stack awscdk.Stack, s Settings) {
	for _, e := range []struct {
		id string
		to awsec2.GatewayVpcEndpointAwsService
	}{{"S3", awsec2.GatewayVpcEndpointAwsService_S3()}, {"DynamoDb", awsec2.GatewayVpcEndpointAwsService_DYNAMODB()}} {
		n.vpc.AddGatewayEndpoint(text(e.id), &awsec2.GatewayVpcEndpointOptions{Service: e.to})
	}
	if s.Egress != egressEndpoints {
		return
	}
	group := awsec2.NewSecurityGroup(stack, text("EndpointGroup"), &awsec2.SecurityGroupProps{
		Vpc: n.vpc, SecurityGroupName: text(s.named("endpoints")), Description: text("Interfaces of AWS in this network"), AllowAllOutbound: jsii.Bool(false),
	})
	group.AddIngressRule(awsec2.Peer_Ipv4(&s.Cidr), awsec2.Port_Tcp(number(443)), text("whoever is in this network"), nil)
	// What tasks and the rotation call. The controller has NAT and goes through these as well, by their private names.
	type endpoint struct {
		id string
		to awsec2.InterfaceVpcEndpointAwsService
	}
	list := []endpoint{
		{"EcrApi", awsec2.InterfaceVpcEndpointAwsService_ECR()}, {"EcrImages", awsec2.InterfaceVpcEndpointAwsService_ECR_DOCKER()},
		{"Logs", awsec2.InterfaceVpcEndpointAwsService_CLOUDWATCH_LOGS()}, {"Secrets", awsec2.InterfaceVpcEndpointAwsService_SECRETS_MANAGER()},
		{"Queues", awsec2.InterfaceVpcEndpointAwsService_SQS()},
	}
	// Starting a task reads them; an interface that nobody asks costs as much as another.
	if len(s.Template.Parameters) > 0 {
		list = append(list, endpoint{"Parameters", awsec2.InterfaceVpcEndpointAwsService_SSM()})
	}
	for _, e := range list {
		n.vpc.AddInterfaceEndpoint(text(e.id), &awsec2.InterfaceVpcEndpointOptions{
			Service: e.to, Subnets: n.apps, SecurityGroups: &[]awsec2.ISecurityGroup{group}, Open: jsii.Bool(false),
		})
	}
}

// ids are the ids of a group of subnets, in order.
func (n network) ids(of *awsec2.SubnetSelection) *[]*string {
	return n.vpc.SelectSubnets(of).SubnetIds
}
