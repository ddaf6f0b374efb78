package ssm_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/canteen/deploy/controller/sim/ssm"
)

func TestParametersByPathAndHistory(t *testing.T) {
	e := ssm.New("000000000000", "eu-central-1")
	put := func(name, value string) {
		if _, err := e.PutParameter(t.Context(), &awsssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString, Overwrite: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"/dev/a", "/dev/b", "/dev/db/host", "/developer", "plain"} {
		put(n, "1")
	}
	put("/dev/a", "2")
	list := func(path string, recursive bool) string {
		in := &awsssm.GetParametersByPathInput{Path: &path, Recursive: &recursive, MaxResults: aws.Int32(1)}
		var names []string
		for {
			out, err := e.GetParametersByPath(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range out.Parameters {
				names = append(names, *p.Name+"="+*p.Value)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(names, " ")
			}
		}
	}
	for path, want := range map[string]string{"/dev": "/dev/a=2 /dev/b=1", "/dev/": "/dev/a=2 /dev/b=1", "/none": ""} {
		if got := list(path, false); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := list("/dev", true); got != "/dev/a=2 /dev/b=1 /dev/db/host=1" {
		t.Errorf("all below: %s", got)
	}
	history, err := e.GetParameterHistory(t.Context(), &awsssm.GetParameterHistoryInput{Name: aws.String("/dev/a")})
	if err != nil || len(history.Parameters) != 2 || *history.Parameters[0].Value != "1" || history.Parameters[1].Version != 2 {
		t.Errorf("history %v, %v", history, err)
	}
	if _, err := e.GetParametersByPath(t.Context(), &awsssm.GetParametersByPathInput{Path: aws.String("dev")}); err == nil {
		t.Error("a path without a slash was taken")
	}
}
