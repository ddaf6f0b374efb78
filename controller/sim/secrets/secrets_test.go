package secrets_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/secrets"
)

func create(t *testing.T, e *secrets.Engine, name, value string) (arn string) {
	t.Helper()
	out, err := e.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ARN
}

func TestResolveValueFrom(t *testing.T) {
	e := secrets.New("000000000000", "eu-central-1")
	arn := create(t, e, "db", `{"user":"first","port":5432}`)
	plain := create(t, e, "plain", "text")
	put, err := e.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("db"), SecretString: aws.String(`{"user":"second","port":5432}`)})
	if err != nil {
		t.Fatal(err)
	}
	short := arn[:len(arn)-len("-123456")]
	const prefix = "execution resource retrieval failed: unable to retrieve secret from asm: "
	for _, c := range []struct{ name, from, want, wantErr string }{
		{"whole", plain, "text", ""},
		{"partial ARN", short, `{"user":"second","port":5432}`, ""},
		{"json key", arn + ":user::", "second", ""},
		{"json key that is a number", arn + ":port::", "5432", ""},
		{"stage", arn + ":user:AWSPREVIOUS:", "first", ""},
		{"version", arn + ":user::" + *put.VersionId, "second", ""},
		{"stage of another version", arn + ":user:AWSPREVIOUS:" + *put.VersionId, "", "can't find the specified secret value for VersionId"},
		{"no such stage", arn + "::STAGE:", "", "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: STAGE"},
		{"no such key", arn + ":colour::", "", "retrieved secret from Secrets Manager did not contain json key colour"},
		{"key of what is not JSON", plain + ":user::", "", "is not a JSON object"},
		{"no such secret", strings.Replace(arn, "secret:db", "secret:other", 1), "", "ResourceNotFoundException: Secrets Manager can't find the specified secret."},
		{"not an ARN", "db", "", "invalid ARN format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := e.Resolve(c.from)
			if c.wantErr == "" && (err != nil || got != c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if c.wantErr != "" && (err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), c.wantErr)) {
				t.Errorf("got %v\nwant %s…%s", err, prefix, c.wantErr)
			}
		})
	}
}

func TestDeletionIsScheduled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := secrets.New("000000000000", "eu-central-1")
		arn := create(t, e, "db", "x")
		ctx := t.Context()
		get := func() string {
			_, err := e.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
			if err == nil {
				return ""
			}
			return err.Error()
		}
		describe := func() *time.Time {
			out, err := e.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &arn})
			if err != nil {
				t.Fatal(err)
			}
			return out.DeletedDate
		}
		out, err := e.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &arn, RecoveryWindowInDays: aws.Int64(7)})
		if err != nil || !out.DeletionDate.Equal(time.Now().AddDate(0, 0, 7)) {
			t.Fatalf("got %v, %v", out, err)
		}
		if got := get(); !strings.Contains(got, "marked for deletion") || describe() == nil {
			t.Errorf("scheduled: %s", got)
		}
		if _, err := e.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &arn}); err != nil || get() != "" || describe() != nil {
			t.Errorf("restored: %v, %s", err, get())
		}
		if _, err := e.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &arn}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * 24 * time.Hour)
		if got := get(); !strings.Contains(got, "can't find the specified secret") {
			t.Errorf("after the window: %s", got)
		}
		create(t, e, "db", "again")
		for _, days := range []int64{6, 31} {
			if _, err := e.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String("db"), RecoveryWindowInDays: &days}); err == nil {
				t.Errorf("a window of %d days was accepted", days)
			}
		}
	})
}

func TestVersionsAndStages(t *testing.T) {
	e := secrets.New("000000000000", "eu-central-1")
	create(t, e, "db", "one")
	for range 2 { // the same token again is the same version
		if _, err := e.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("db"), SecretString: aws.String("two"), ClientRequestToken: aws.String("token")}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := e.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("db")})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"token": {"AWSCURRENT"}, "00000001-0000-4000-8000-000000000001": {"AWSPREVIOUS"}}
	if diff := cmp.Diff(want, out.VersionIdsToStages); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := e.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("db"), SecretString: aws.String("x")}); err == nil {
		t.Error("a second secret of one name was made")
	}
}
