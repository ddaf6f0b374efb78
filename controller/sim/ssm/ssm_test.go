package ssm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/ssm"
)

func TestParameters(t *testing.T) {
	e := ssm.New("000000000000", "eu-central-1")
	ctx := t.Context()
	put := func(name, value string, kind types.ParameterType, overwrite bool) error {
		_, err := e.PutParameter(ctx, &awsssm.PutParameterInput{Name: &name, Value: &value, Type: kind, Overwrite: &overwrite})
		return err
	}
	for _, err := range []error{
		put("/a/limit", "1", types.ParameterTypeString, false), put("/a/limit", "2", "", true), put("plain", "x", types.ParameterTypeSecureString, false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := errors.AsType[*types.ParameterAlreadyExists](put("/a/limit", "3", types.ParameterTypeString, false)); !ok {
		t.Error("without Overwrite a parameter must stay")
	}
	if put("new", "x", "", false) == nil || put("new", "x", "Number", false) == nil || put("new", strings.Repeat("x", 4097), types.ParameterTypeString, false) == nil {
		t.Error("a new parameter needs a type that exists and a value of at most 4 KiB")
	}
	get := func(name string, decrypt bool) string {
		out, err := e.GetParameter(ctx, &awsssm.GetParameterInput{Name: &name, WithDecryption: &decrypt})
		if err != nil {
			return err.Error()
		}
		return *out.Parameter.Value
	}
	const arn = "arn:aws:ssm:eu-central-1:000000000000:parameter"
	for name, want := range map[string]string{
		"/a/limit": "2", "/a/limit:1": "1", arn + "/a/limit": "2", arn + "/plain": "encrypted:1 bytes", "plain": "encrypted:1 bytes",
		"/a/limit:9": "ParameterVersionNotFound: Systems Manager could not find version 9 of /a/limit.", "/b": "ParameterNotFound: ",
	} {
		if got := get(name, false); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := get("plain", true); got != "x" {
		t.Errorf("decrypted: %q", got)
	}
	out, err := e.GetParameters(ctx, &awsssm.GetParametersInput{Names: []string{"plain", "/b", "/a/limit"}})
	if err != nil || len(out.Parameters) != 2 || *out.Parameters[0].Name != "/a/limit" || !cmp.Equal(out.InvalidParameters, []string{"/b"}) {
		t.Errorf("several: %v, %v", out, err)
	}
	if _, err := e.GetParameters(ctx, &awsssm.GetParametersInput{Names: make([]string, 11)}); err == nil {
		t.Error("eleven names were accepted")
	}
	for from, want := range map[string]string{"plain": "x", arn + "/a/limit": "2"} {
		if got, err := e.Resolve(from); err != nil || got != want {
			t.Errorf("resolve %s: %q, %v", from, got, err)
		}
	}
	if _, err := e.Resolve("/b"); err == nil || !strings.Contains(err.Error(), "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: /b") {
		t.Errorf("resolve an absent one: %v", err)
	}
	if _, err := e.DeleteParameter(ctx, &awsssm.DeleteParameterInput{Name: aws.String("plain")}); err != nil {
		t.Error(err)
	}
	if _, err := e.DeleteParameter(ctx, &awsssm.DeleteParameterInput{Name: aws.String("plain")}); err == nil {
		t.Error("deleted twice")
	}
}
