package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// theSame are the settings that the service's resource is made of; everything else may change around it.
var theSame = map[string]bool{"Env": true, "Account": true, "Region": true, "Zones": true}

// CloudFormation sends the whole service again whenever anything in its resource changes. So nothing changes it: here every
// setting is another one, but those that the service is made of.
func TestServiceDoesNotChangeWithAnythingElse(t *testing.T) {
	s := settingsOf(t, "dev")
	before := serviceOf(t, s)
	changed := s
	changeAll(t, reflect.ValueOf(&changed).Elem(), "")
	changed.Egress, changed.NatGateways, changed.Cidr, changed.Certificate = egressEndpoints, 2, "10.99.0.0/16", "arn:aws:acm:other"
	changed.LogDays, changed.Database.Instance = 365, "m7g.large"
	changed.Template.Cpu, changed.Template.Memory = 1024, 2048
	changed.Controller.Cpu, changed.Controller.Memory = 512, 1024
	after := serviceOf(t, changed)
	if !bytes.Equal(before, after) {
		t.Errorf("the service's resource changes with the settings around it:\n%s\n%s", before, after)
	}
	if bytes.Equal(write(t, synth(t, changed).main["Resources"]), write(t, templates(t, "dev").main["Resources"])) {
		t.Error("the settings changed nothing at all")
	}
}

func serviceOf(t *testing.T, s Settings) []byte {
	t.Helper()
	return write(t, synth(t, s).main["Resources"].(object)["Service"])
}

// changeAll gives every field another value, so that one that is added later is changed as well.
func changeAll(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for i := range v.NumField() {
		field, name := v.Field(i), path+v.Type().Field(i).Name
		if theSame[name] {
			continue
		}
		switch field.Kind() {
		case reflect.Struct:
			changeAll(t, field, name+".")
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Int:
			field.SetInt(field.Int() + 1)
		case reflect.Bool:
			field.SetBool(!field.Bool())
		case reflect.Slice:
			field.Set(reflect.Append(field, reflect.ValueOf("444444444444")))
		case reflect.Pointer: // it is read of JSON
			if err := json.Unmarshal([]byte(told), field.Addr().Interface()); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%s is a %s: say here how it is changed", name, field.Kind())
		}
	}
}

// There is nothing in the service's resource that somebody else changes.
func TestServiceHasNothingOfOthers(t *testing.T) {
	p := properties(t, templates(t, "dev").main, "AWS::ECS::Service", "ServiceName", "order-processing")
	for _, member := range []string{"DeploymentConfiguration", "DeploymentController", "ForceNewDeployment", "Tags"} {
		if p[member] != nil && member != "Tags" {
			t.Errorf("the service has %s, which goes with each roll", member)
		}
	}
	if p["TaskDefinition"] != "{{resolve:ssm:/order-processing-dev/task-definition}}" {
		t.Errorf("the service's task definition is %v", p["TaskDefinition"])
	}
	// 0 until a first revision was good; after that the count is left out, and CloudFormation leaves it alone.
	if got := string(write(t, p["DesiredCount"])); got != string(write(t, object{"Fn::If": []any{"NothingWasGoodYet", 0, object{"Ref": "AWS::NoValue"}}})) {
		t.Errorf("the service's count is %s", got)
	}
}
