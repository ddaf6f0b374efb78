package permit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/worker/pgtest"
)

// containerOf is command and environment of the container of one of the template's task definitions.
func containerOf(t *testing.T, family string) (command []string, env map[string]string) {
	t.Helper()
	var body struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				Family               string
				ContainerDefinitions []struct {
					Command     []string
					Environment []struct {
						Name  string
						Value any
					}
				}
			}
		}
	}
	if err := json.Unmarshal(template(t, stack).Body, &body); err != nil {
		t.Fatal(err)
	}
	for _, r := range body.Resources {
		if r.Type != "AWS::ECS::TaskDefinition" || r.Properties.Family != family {
			continue
		}
		env = map[string]string{}
		for _, v := range r.Properties.ContainerDefinitions[0].Environment {
			env[v.Name] = fmt.Sprint(v.Value)
		}
		return r.Properties.ContainerDefinitions[0].Command, env
	}
	t.Fatalf("the template has no task definition %s", family)
	return nil, nil
}

// ownersSecret is a secret of an account that is served until the test ends, for a worker's environment.
func ownersSecret(t *testing.T, value string) (env []string) {
	t.Helper()
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
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, account.Close()); err != nil {
			t.Error(err)
		}
	})
	made, err := account.Secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(stack + "/db-owner"), SecretString: &value})
	if err != nil {
		t.Fatal(err)
	}
	return []string{"MIGRATE_DB_SECRET=" + aws.ToString(made.ARN), "AWS_ENDPOINT_URL=http://" + listener.Addr().String(), "AWS_REGION=" + sim.DefaultRegion,
		"AWS_ACCESS_KEY_ID=" + sim.AccessKey, "AWS_SECRET_ACCESS_KEY=local"}
}

// On a real PostgreSQL with TLS: the bootstrap task of the template makes the application's user and the owner, and does nothing when
// it is run again. Whichever of the rotation's two users is the application's when a migration runs, every table belongs to the
// owner, both users may read and write its rows, and neither may change it.
func TestBootstrapAndBothUsersOfTheRotation(t *testing.T) {
	if _, err := exec.LookPath("psql"); err != nil {
		t.Skip("psql is not installed (Debian: apt-get install postgresql)")
	}
	ca, certificate, key := pgtest.Authority(t)
	server := pgtest.Start(t)
	address := []string{"DB_CA=" + string(ca), "DB_HOST=localhost", "DB_NAME=postgres", fmt.Sprintf("DB_PORT=%d", server.Secure(certificate, key))}
	db, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	execute := func(statement string) {
		t.Helper()
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	execute("ALTER ROLE postgres PASSWORD 'p-0_w'")
	bootstrap, env := containerOf(t, stack+"-bootstrap")
	for range 2 {
		cmd := exec.Command(bootstrap[0], bootstrap[1:]...)
		cmd.Env = append(os.Environ(), append(address, "PGSSLMODE="+env["PGSSLMODE"], "PGHOST=localhost", "PGPORT="+strings.TrimPrefix(address[3], "DB_PORT="), "PGUSER=postgres",
			"PGPASSWORD=p-0_w", "PGDATABASE=postgres", "APP_USER=orders", "APP_PASSWORD=p-1_w", "OWNER_USER=orders_owner", "OWNER_PASSWORD=p-3_w")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("bootstrap: %v\n%s", err, out)
		}
	}
	// As the rotation's function does at its first turn.
	execute("CREATE ROLE orders_clone LOGIN PASSWORD 'p-2_w'; GRANT orders TO orders_clone")
	worker := filepath.Join(t.TempDir(), "worker")
	if out, err := exec.Command("go", "build", "-o", worker, "../../worker").CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	_, env = containerOf(t, stack+"-template")
	if env["MIGRATE_DB_SECRET"] == "" {
		t.Error("the template does not say where the owner's login is")
	}
	owner := ownersSecret(t, `{"username":"orders_owner","password":"p-3_w"}`)
	for _, user := range []string{"orders_clone", "orders"} {
		cmd := exec.Command(worker, "migrate")
		cmd.Env = append(os.Environ(), append(address, "DB_SSLMODE="+env["DB_SSLMODE"], "DB_USER="+user, "DB_PASSWORD=not-asked",
			"MIGRATE_GRANT_TO="+env["MIGRATE_GRANT_TO"])...)
		cmd.Env = append(cmd.Env, owner...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("migrate beside %s: %v\n%s", user, err, out)
		}
		rows, err := db.Query(t.Context(), "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'")
		if err != nil {
			t.Fatal(err)
		}
		owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || !slices.Equal(owners, []string{"orders_owner"}) {
			t.Errorf("after a migration beside %s tables belong to %s (%v)", user, strings.Join(owners, ", "), err)
		}
		for _, user := range []string{"orders_clone", "orders"} {
			var rows, changes bool
			if err := db.QueryRow(t.Context(), `SELECT bool_and(has_table_privilege($1, 'public.' || relname, 'SELECT, INSERT, UPDATE, DELETE')),
				has_schema_privilege($1, 'public', 'CREATE') OR pg_has_role($1, 'orders_owner', 'MEMBER')
				FROM pg_class WHERE relname IN ('orders', 'order_lines', 'outbox', 'stock', 'idempotency_keys')`, user).Scan(&rows, &changes); err != nil || !rows || changes {
				t.Errorf("%s may read and write rows: %v, change tables: %v (%v)", user, rows, changes, err)
			}
		}
	}
}
