package secrets_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/canteen/deploy/controller/sim/secrets"
)

func TestRotation(t *testing.T) {
	e := secrets.New("000000000000", "eu-central-1")
	id := aws.String("db")
	if _, err := e.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: id, SecretString: aws.String("one")}); err != nil {
		t.Fatal(err)
	}
	read := func(stage string) string {
		out, err := e.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: id, VersionStage: &stage})
		if err != nil {
			return ""
		}
		return *out.SecretString
	}
	finish, err := e.Rotate("db", "two")
	if err != nil {
		t.Fatal(err)
	}
	if got := read("AWSCURRENT") + " " + read("AWSPENDING"); got != "one two" {
		t.Errorf("meanwhile: %s", got)
	}
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if got := read("AWSCURRENT") + " " + read("AWSPREVIOUS") + " " + read("AWSPENDING"); got != "two one " {
		t.Errorf("afterwards: %s", got)
	}
	versions, err := e.ListSecretVersionIds(t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: id})
	if err != nil || len(versions.Versions) != 2 {
		t.Fatalf("versions %v, %v", versions, err)
	}
	// Back to the previous one by hand: the version that has the stage must be named.
	var old, now string
	for _, v := range versions.Versions {
		if v.VersionStages[0] == "AWSCURRENT" {
			now = *v.VersionId
		} else {
			old = *v.VersionId
		}
	}
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: id, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &old}
	if _, err := e.UpdateSecretVersionStage(t.Context(), in); err == nil {
		t.Error("the stage moved although the version that has it was not named")
	}
	in.RemoveFromVersionId = &now
	if _, err := e.UpdateSecretVersionStage(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := read("AWSCURRENT") + " " + read("AWSPREVIOUS"); got != "one two" {
		t.Errorf("moved back: %s", got)
	}
}
