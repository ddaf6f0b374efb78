package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// With endpoints the tasks' subnets have no way out but through them, and the controller's still have.
func TestEgress(t *testing.T) {
	routes := func(env string) (apps, controllers int) {
		for id, r := range resources(templates(t, env).main, "AWS::EC2::Route") {
			if r["Properties"].(object)["NatGatewayId"] == nil {
				continue
			}
			switch {
			case strings.Contains(id, "VpcApp"):
				apps++
			case strings.Contains(id, "VpcController"):
				controllers++
			default:
				t.Errorf("%s: route %s leads out", env, id)
			}
		}
		return apps, controllers
	}
	if apps, controllers := routes("dev"); apps != 2 || controllers != 2 {
		t.Errorf("dev: %d and %d routes out, want 2 and 2", apps, controllers)
	}
	if apps, controllers := routes("production"); apps != 0 || controllers != 3 {
		t.Errorf("production: %d and %d routes out, want 0 and 3", apps, controllers)
	}
	var services []string
	for _, e := range resources(templates(t, "production").main, "AWS::EC2::VPCEndpoint") {
		text, _ := json.Marshal(e["Properties"].(object)["ServiceName"])
		services = append(services, string(text))
	}
	for _, want := range []string{"ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs", "s3", "dynamodb"} {
		if !slices.ContainsFunc(services, func(s string) bool { return strings.Contains(s, "."+want) }) {
			t.Errorf("there is no endpoint of %s among %v", want, services)
		}
	}
}

// What the template takes of the parameter store is read through the tasks' own subnets.
func TestParametersAreReachedWithoutNat(t *testing.T) {
	s := settingsOf(t, "staging")
	s.Template.Parameters = []string{"menu-url"}
	if err := s.check(); err != nil || s.Egress != egressEndpoints {
		t.Fatal(s.Egress, err)
	}
	main := synth(t, s).main
	if allowed(t, main, s.named("execution"))["ssm:GetParameters"] == nil {
		t.Fatal("the role that starts tasks reads no parameter")
	}
	for name, one := range map[string]struct {
		template object
		want     bool
	}{"with": {main, true}, "without": {templates(t, "staging").main, false}} {
		there := false
		for _, e := range resources(one.template, "AWS::EC2::VPCEndpoint") {
			there = there || has(e["Properties"].(object)["ServiceName"], ".ssm\"")
		}
		if there != one.want {
			t.Errorf("%s parameters there is an endpoint of Systems Manager: %t", name, there)
		}
	}
}
