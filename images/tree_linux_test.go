package images

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// plantedFiles is what people leave beside code.
var plantedFiles = []string{".env", "worker/.env", "worker/tls.key", "controller/deploy-dev.db", "controller/deploy-dev.db-wal", "controller/id_ed25519",
	"controller/cmd/controller/token.pem", "controller/.aws/credentials", "node_modules/left-pad/index.js", "coverage.out", "private.txt"}

// commitEnv makes the same commit of the same files.
var commitEnv = []string{"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@canteen.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@canteen.example",
	"GIT_AUTHOR_DATE=2026-03-01T12:00:00+01:00", "GIT_COMMITTER_DATE=2026-03-01T12:00:00+01:00", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}

// created is the commit's time as the images have to say it.
const created = "2026-03-01T11:00:00Z"

// newTree is a copy of the project as it is here, changes included, with a commit of its own, the same each time, and with files
// beside it that must reach no image.
func newTree(t *testing.T) (dir, revision string) {
	t.Helper()
	dir = t.TempDir()
	out, err := exec.Command("git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("list the project's files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join("..", name), filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) { // deleted, and not committed
			t.Fatal(err)
		}
	}
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, commitEnv...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--initial-branch", "main")
	git("add", "--all", "--force")
	git("commit", "--quiet", "--message", "a copy")
	for _, name := range plantedFiles {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(planted), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ignore := strings.Join(plantedFiles, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, ".git", "info", "exclude"), []byte(ignore), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, git("rev-parse", "HEAD")
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, info.Mode().Perm())
}

// buildHere runs the Dockerfiles' own commands on this machine: other folders, another cache, no container.
func buildHere(tree, revision, to string) error {
	command := regexp.MustCompile(`(?s)CGO_ENABLED=0 .*?go build [^\n]*`)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(tree, "Dockerfile."+name))
		if err != nil {
			return err
		}
		found := command.FindString(string(text))
		if !strings.Contains(found, " -o /out/") {
			return fmt.Errorf("Dockerfile.%s has no go build -o /out/…: %q", name, found)
		}
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(found, "/out/", to+"/"))
		cmd.Dir = tree
		cmd.Env = append(os.Environ(), "REVISION="+revision)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", found, err, tail(out))
		}
	}
	return nil
}
