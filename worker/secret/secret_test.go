package secret_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/worker/secret"
)

// On the local account, over its own wire: what the secret says now, a clear word where it says nothing of use, and never
// the secret itself in an error.
func TestLogin(t *testing.T) {
	account, err := sim.New(sim.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := sim.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- account.Serve(ctx, listener) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := account.Close(); err != nil {
			t.Error(err)
		}
	}()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": "http://" + listener.Addr().String(), "AWS_REGION": sim.DefaultRegion,
		"AWS_ACCESS_KEY_ID": "AKIALOCALACCOUNT", "AWS_SECRET_ACCESS_KEY": "local"} {
		t.Setenv(name, value)
	}
	client := secretsmanager.NewFromConfig(account.AWSConfig())
	arn := map[string]string{}
	for name, value := range map[string]string{
		"owner": `{"engine":"postgres","host":"db","username":"owner","password":"first"}`, "text": "hush-1", "half": `{"username":"owner","password":""}`,
	} {
		out, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
		if err != nil {
			t.Fatal(err)
		}
		arn[name] = aws.ToString(out.ARN)
	}
	for _, want := range []string{"first", "second"} {
		if user, password, err := secret.Login(t.Context(), arn["owner"]); err != nil || user != "owner" || password != want {
			t.Errorf("%q, %q, %v; want password %s", user, password, err, want)
		}
		if _, err := client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("owner"), SecretString: aws.String(`{"username":"owner","password":"second"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{arn["text"]: "no JSON object", arn["half"]: "no JSON object", "missing": "ResourceNotFoundException"} {
		if _, _, err := secret.Login(t.Context(), id); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %s", id, err, want)
		}
	}
}
