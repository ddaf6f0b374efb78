package adopt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// FamilySuffix ends the family of a template that StackTemplate makes.
const FamilySuffix = "-template"

// renamed are the members of a task definition that CloudFormation spells otherwise than ECS's API.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-taskdefinition.html
var renamed = map[string]string{
	"EfsVolumeConfiguration": "EFSVolumeConfiguration", "FileSystemId": "FilesystemId", "Iam": "IAM",
}

// unknown are the members that are not carried over.
var unknown = []string{"FsxWindowsFileServerVolumeConfiguration", "ProxyConfiguration"}

// StackTemplate is a CloudFormation template of a stack for a service that has none: the template task definition, in a family of its
// own, with the content of what runs, and the outputs that the controller reads. It changes nothing of the service.
func (r Running) StackTemplate(repository string) ([]byte, error) {
	decoder := json.NewDecoder(strings.NewReader(r.Content))
	decoder.UseNumber()
	var content map[string]any
	if err := decoder.Decode(&content); err != nil {
		return nil, fmt.Errorf("read the task definition %s: %w", r.Revision, err)
	}
	for _, member := range unknown {
		if strings.Contains(r.Content, `"`+member+`":{`) {
			return nil, fmt.Errorf("the task definition %s has a %s, which is not carried over: write the template's stack by hand", r.Revision, member)
		}
	}
	content = properties(content, false).(map[string]any)
	content["Family"] = r.Service + FamilySuffix
	output := func(v any) map[string]any { return map[string]any{"Value": v} }
	template := map[string]any{
		"Description": fmt.Sprintf("What the deploy controller reads of the service %s: the template of its task definitions, and where it runs.", r.Service),
		"Resources": map[string]any{"TaskTemplate": map[string]any{
			// Revisions of before are kept: what was rendered onto them may still run.
			"Type": "AWS::ECS::TaskDefinition", "UpdateReplacePolicy": "Retain", "Properties": content,
		}},
		"Outputs": map[string]any{
			"RepoUri": output(repository), "ClusterName": output(r.Cluster), "ServiceName": output(r.Service),
			"AppSubnetIds": output(strings.Join(r.Subnets, ",")), "EcsSecurityGroupId": output(strings.Join(r.SecurityGroups, ",")),
			"TaskTemplate": output(map[string]any{"Ref": "TaskTemplate"}),
		},
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(template)
	return b.Bytes(), err
}

// properties is a value as CloudFormation writes it. What ECS's API leaves empty is left out, but for the values of variables.
func properties(v any, volumes bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, member := range v {
			if list, ok := member.([]any); member == nil || member == "" && k != "Value" || ok && len(list) == 0 {
				continue
			}
			if other, ok := renamed[k]; ok && volumes {
				k = other
			}
			out[k] = properties(member, volumes || k == "Volumes")
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, properties(item, volumes))
		}
		return out
	}
	return v
}
