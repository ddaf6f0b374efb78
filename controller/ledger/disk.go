package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/fault"
)

// CodeNoDisk is the code of a ledger that would go with the task that writes it: Blocked.
const CodeNoDisk = "ledger_no_disk"

// CheckDisk refuses the path of a ledger in a container of Amazon ECS whose disk ends with the task: there a restart would
// forget what is in flight, and a second task would know nothing of the first. getenv and mounts are os.Getenv and the
// text of /proc/self/mountinfo; anywhere but on ECS every disk is taken for what it is.
//
// ECS is known by the address of its metadata endpoint, which the agent sets in every container, and Fargate by
// AWS_EXECUTION_ENV. On EC2 a mounted volume stays on the instance. On Fargate only a file system that is mounted from
// elsewhere (EFS) outlives the task; volumes of the task's own storage and EBS volumes of a service's tasks are deleted with it.
//
//	https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
//	https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_data_volumes.html
func CheckDisk(path string, getenv func(string) string, mounts func() (string, error)) error {
	if getenv("ECS_CONTAINER_METADATA_URI_V4") == "" && getenv("ECS_CONTAINER_METADATA_URI") == "" {
		return nil
	}
	advice := "name a DynamoDB table with --ledger dynamodb:TABLE, or mount an EFS volume and name a file on it"
	text, err := mounts()
	if err != nil {
		return fault.New(fault.Blocked, CodeNoDisk, fmt.Errorf("whether the disk of ledger %s outlives this ECS task cannot be told: %w; %s", path, err, advice))
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return fmt.Errorf("find the folder of ledger %s: %w", path, err)
	}
	point, kind := mountOf(text, folder)
	switch {
	case point == "/" || slices.Contains([]string{"overlay", "tmpfs", "ramfs", "aufs"}, kind):
	case getenv("AWS_EXECUTION_ENV") == "AWS_ECS_FARGATE" && !strings.HasPrefix(kind, "nfs"):
	default:
		return nil
	}
	return fault.New(fault.Blocked, CodeNoDisk, fmt.Errorf("the ledger %s is on %s (%s), which ends with this ECS task, and everything in flight would be forgotten with it: %s", path, point, kind, advice))
}

// Mounts reads what is mounted in this process's file system.
func Mounts() (string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	return string(b), err
}

// mountOf finds the mount that a folder is on, and the kind of its file system. Of two mounts on one point the later one
// covers the earlier one. The form is that of proc_pid_mountinfo(5).
func mountOf(mountinfo, folder string) (point, kind string) {
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(rest) < 1 {
			continue
		}
		at := unescape(fields[4])
		if (folder == at || at == "/" || strings.HasPrefix(folder, at+"/")) && len(at) >= len(point) {
			point, kind = at, rest[0]
		}
	}
	return point, kind
}

// unescape reads the four characters that mountinfo writes in octal.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
