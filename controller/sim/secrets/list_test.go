package secrets_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/secrets"
)

func TestListSecrets(t *testing.T) {
	e := secrets.New("000000000000", "eu-central-1")
	for _, name := range []string{"orders/db", "billing/db", "orders/key", "orders/old"} {
		create(t, e, name, "x")
	}
	if _, err := e.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("orders/old")}); err != nil {
		t.Fatal(err)
	}
	name := func(values ...string) []types.Filter {
		return []types.Filter{{Key: types.FilterNameStringTypeName, Values: values}}
	}
	for _, c := range []struct {
		what string
		in   secretsmanager.ListSecretsInput
		want []string
	}{
		{"all, by pages", secretsmanager.ListSecretsInput{MaxResults: aws.Int32(1)}, []string{"billing/db", "orders/db", "orders/key"}},
		{"by the beginning of the name", secretsmanager.ListSecretsInput{Filters: name("orders/")}, []string{"orders/db", "orders/key"}},
		{"others", secretsmanager.ListSecretsInput{Filters: name("!orders/")}, []string{"billing/db"}},
		{"with those that wait", secretsmanager.ListSecretsInput{Filters: name("orders/"), IncludePlannedDeletion: aws.Bool(true)}, []string{"orders/db", "orders/key", "orders/old"}},
	} {
		var got []string
		for in := c.in; ; {
			out, err := e.ListSecrets(t.Context(), &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range out.SecretList {
				got = append(got, *s.Name)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	for want, in := range map[string]*secretsmanager.ListSecretsInput{
		"InvalidNextTokenException": {NextToken: aws.String("!")}, "InvalidParameterException": {MaxResults: aws.Int32(101)},
	} {
		_, err := e.ListSecrets(t.Context(), in)
		if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
