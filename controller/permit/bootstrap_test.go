package permit_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

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

// On a real PostgreSQL: the bootstrap task of the template makes the application's user, and does nothing when it is run again.
// Whichever of the rotation's two users a migration logs in as, every table belongs to the first, by the template's PGOPTIONS.
func TestBootstrapAndBothUsersOfTheRotation(t *testing.T) {
	if _, err := exec.LookPath("psql"); err != nil {
		t.Skip("psql is not installed (Debian: apt-get install postgresql)")
	}
	admin := pgtest.Start(t).URL
	at, err := pgx.ParseConfig(admin)
	if err != nil {
		t.Fatal(err)
	}
	bootstrap, _ := containerOf(t, stack+"-bootstrap")
	for range 2 {
		cmd := exec.Command(bootstrap[0], bootstrap[1:]...)
		cmd.Env = append(os.Environ(), "PGHOST="+at.Host, fmt.Sprintf("PGPORT=%d", at.Port), "PGUSER="+at.User, "PGDATABASE="+at.Database, "APP_USER=orders", "APP_PASSWORD=p-1_w")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("bootstrap: %v\n%s", err, out)
		}
	}
	db, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	// As the rotation's function does at its first turn.
	if _, err := db.Exec(t.Context(), "CREATE ROLE orders_clone LOGIN PASSWORD 'p-2_w'; GRANT orders TO orders_clone"); err != nil {
		t.Fatal(err)
	}
	worker := filepath.Join(t.TempDir(), "worker")
	if out, err := exec.Command("go", "build", "-o", worker, "../../worker").CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	_, env := containerOf(t, stack+"-template")
	for _, user := range []string{"orders_clone", "orders"} {
		as, err := url.Parse(admin)
		if err != nil {
			t.Fatal(err)
		}
		q := as.Query()
		q.Set("user", user)
		as.User, as.RawQuery = url.User(user), q.Encode()
		cmd := exec.Command(worker, "migrate")
		cmd.Env = append(os.Environ(), "DATABASE_URL="+as.String(), "PGOPTIONS="+env["PGOPTIONS"])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("migrate as %s: %v\n%s", user, err, out)
		}
		rows, err := db.Query(t.Context(), "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'")
		if err != nil {
			t.Fatal(err)
		}
		owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || !slices.Equal(owners, []string{"orders"}) {
			t.Errorf("after %s migrated, tables belong to %s (%v)", user, strings.Join(owners, ", "), err)
		}
	}
}
