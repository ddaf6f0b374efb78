package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/conformance"
)

func TestCheckDisk(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"data", "data two", "database"} {
		if err := os.Mkdir(filepath.Join(root, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "data"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	const overlay = "512 419 0:62 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib\n513 512 0:65 / /proc rw,nosuid - proc proc rw\n"
	mount := func(folder, kind string) string {
		return overlay + "900 512 0:99 /fs " + strings.ReplaceAll(filepath.Join(root, folder), " ", `\040`) + " rw,relatime shared:7 master:2 - " + kind + " source rw\n"
	}
	const none, ec2, fargate = "", "AWS_ECS_EC2", "AWS_ECS_FARGATE"
	for _, tt := range []struct {
		name, on, path, mounts string
		refused                string
	}{
		{"not on ECS", none, "data/x.db", overlay, ""},
		{"the container's own layer", ec2, "data/x.db", overlay, "is on / (overlay)"},
		{"the same on Fargate", fargate, "data/x.db", overlay, "is on / (overlay)"},
		{"memory", ec2, "data/x.db", mount("data", "tmpfs"), "(tmpfs)"},
		{"a volume of the instance", ec2, "data/x.db", mount("data", "xfs"), ""},
		{"a volume of the task", fargate, "data/x.db", mount("data", "xfs"), "(xfs)"},
		{"EFS", fargate, "data/x.db", mount("data", "nfs4"), ""},
		{"through a link", fargate, "link/x.db", mount("data", "nfs4"), ""},
		{"a name with a space", fargate, "data two/x.db", mount("data two", "nfs4"), ""},
		{"a name that only begins so", fargate, "database/x.db", mount("data", "nfs4"), "is on / (overlay)"},
		{"covered by another mount", fargate, "data/x.db", mount("data", "nfs4") + strings.TrimPrefix(mount("data", "tmpfs"), overlay), "(tmpfs)"},
		{"a root file system that is none of these", ec2, "data/x.db", "1 0 0:1 / / rw - ext4 /dev/nvme0n1p1 rw\n", "is on / (ext4)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			getenv := func(name string) string {
				if tt.on == none || name != "ECS_CONTAINER_METADATA_URI_V4" && name != "AWS_EXECUTION_ENV" {
					return ""
				}
				return tt.on
			}
			err := ledger.CheckDisk(filepath.Join(root, tt.path), getenv, func() (string, error) { return tt.mounts, nil })
			if tt.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			conformance.Refused(t, err, fault.Blocked, ledger.CodeNoDisk, tt.refused)
			if !strings.Contains(err.Error(), "--ledger dynamodb:TABLE") {
				t.Errorf("%v gives no advice", err)
			}
		})
	}
	err = ledger.CheckDisk(filepath.Join(root, "x.db"), func(string) string { return "set" }, func() (string, error) { return "", errors.New("no proc here") })
	conformance.Refused(t, err, fault.Blocked, ledger.CodeNoDisk, "cannot be told: no proc here")
}

// This machine's own list is read, whatever is on it.
func TestMountsOfThisMachine(t *testing.T) {
	if _, err := os.Stat("/proc/self/mountinfo"); err != nil {
		t.Skip("no /proc here")
	}
	text, err := ledger.Mounts()
	if err != nil || !strings.Contains(text, " / ") {
		t.Errorf("%v: %s", err, text)
	}
}
