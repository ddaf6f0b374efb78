package pipeline

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newRegistry starts a registry as a process of its own and returns its host. Its tags can be moved; that none is, is for the scripts.
func newRegistry(t *testing.T) string {
	t.Helper()
	tool(t, "docker-registry", "skopeo")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n", dir, host)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker-registry", "serve", config)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if res, err := http.Get("http://" + host + "/v2/"); err == nil {
			_ = res.Body.Close()
			return host
		} else if time.Now().After(end) {
			t.Fatalf("the registry does not answer: %v\n%s", err, out.String())
		}
	}
}

// archive is an image of the commit sha with one file in it, as pipeline/image leaves one.
func archive(t *testing.T, content string) string {
	t.Helper()
	return archiveOf(t, content, map[string]any{"org.opencontainers.image.revision": sha})
}

// archiveOf is the same with labels.
func archiveOf(t *testing.T, content string, labels map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	errs := []error{w.WriteHeader(&tar.Header{Name: "worker", Mode: 0o755, Size: int64(len(content))})}
	_, err := w.Write([]byte(content))
	errs = append(errs, err, w.Close(), os.MkdirAll(filepath.Join(dir, "oci", "blobs", "sha256"), 0o755))
	blob := func(data []byte) map[string]any {
		digest := fmt.Sprintf("%x", sha256.Sum256(data))
		errs = append(errs, os.WriteFile(filepath.Join(dir, "oci", "blobs", "sha256", digest), data, 0o644))
		return map[string]any{"digest": "sha256:" + digest, "size": len(data)}
	}
	object := func(v any) []byte {
		text, err := json.Marshal(v)
		errs = append(errs, err)
		return text
	}
	with := func(m map[string]any, mediaType string) map[string]any { m["mediaType"] = mediaType; return m }
	l := with(blob(layer.Bytes()), "application/vnd.oci.image.layer.v1.tar")
	config := with(blob(object(map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"Labels": labels},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{l["digest"]}}})), "application/vnd.oci.image.config.v1+json")
	manifest := with(blob(object(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []any{l}})), "application/vnd.oci.image.manifest.v1+json")
	errs = append(errs, os.WriteFile(filepath.Join(dir, "oci", "index.json"), object(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}}), 0o644),
		os.WriteFile(filepath.Join(dir, "oci", "oci-layout"), []byte(`{"imageLayoutVersion": "1.0.0"}`), 0o644))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "image.tar")
	if out, err := exec.Command("skopeo", "copy", "oci:"+filepath.Join(dir, "oci"), "docker-archive:"+file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

const (
	plainHTTP = "SKOPEO_ARGS=--tls-verify=false"
	sha       = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
)

func digestAt(t *testing.T, reference string) string {
	t.Helper()
	out, err := exec.Command("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+reference).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func TestPublish(t *testing.T) {
	host := newRegistry(t)
	repository := host + "/order-processing"
	env := []string{plainHTTP, "GITHUB_SHA=" + sha}
	first, err := call(t, ".", env, "publish", archive(t, "one build"), repository)
	want := fmt.Sprintf("repository=%s\ntag=1a2b3c4\ndigest=%s\n", repository, digestAt(t, repository+":1a2b3c4"))
	if err != nil || first != want || !strings.Contains(first, "digest=sha256:") {
		t.Fatalf("%v\n%swant\n%s", err, first, want)
	}
	// The job runs again, and its image came out otherwise: what has been pushed stays, and is what counts.
	second, err := call(t, ".", env, "publish", archive(t, "another build"), repository)
	if err != nil || second != first || digestAt(t, repository+":1a2b3c4") == "" {
		t.Errorf("again: %v\n%s", err, second)
	}
	if out, err := call(t, ".", env, "publish", filepath.Join(t.TempDir(), "nothing.tar"), host+"/other"); err == nil || out != "" {
		t.Errorf("without an archive: %v\n%s", err, out)
	}
	if out, err := call(t, ".", env, "publish", archive(t, "x"), "127.0.0.1:1/order-processing"); err == nil || out != "" || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("without a registry: %v\n%s", err, out)
	}
}

// TestPublishTakesNoOtherCommitsImage: two commits may begin with the same seven digits. What is there under them already is taken where it
// says that it is of this commit, and of no other.
func TestPublishTakesNoOtherCommitsImage(t *testing.T) {
	repository := newRegistry(t) + "/order-processing"
	newer := sha[:7] + strings.Repeat("f", 33)
	publish := func(commit, file string) (string, error) {
		return call(t, ".", []string{plainHTTP, "GITHUB_SHA=" + commit}, "publish", file, repository)
	}
	if out, err := publish(sha, archive(t, "the older commit's program")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	was := digestAt(t, repository+":1a2b3c4")
	out, err := publish(newer, archiveOf(t, "the newer commit's program", map[string]any{"org.opencontainers.image.revision": newer}))
	if err == nil || out != "" || !strings.Contains(err.Error(), "1a2b3c4 is the image of "+sha+" and not of "+newer) || !strings.Contains(err.Error(), "merge another commit") {
		t.Errorf("of the same seven digits: %v\n%s", err, out)
	}
	if digestAt(t, repository+":1a2b3c4") != was {
		t.Error("the tag was moved")
	}
	if out, err := publish("2b3c4d5"+sha[7:], archiveOf(t, "a program of nobody's", nil)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := publish("2b3c4d5"+sha[7:], archive(t, "x")); err == nil || out != "" || !strings.Contains(err.Error(), "2b3c4d5 is the image of no commit that it names and not of") {
		t.Errorf("of an image that names no commit: %v\n%s", err, out)
	}
}

func TestCopy(t *testing.T) {
	source, target := newRegistry(t), newRegistry(t)
	if out, err := call(t, ".", []string{plainHTTP, "GITHUB_SHA=" + sha}, "publish", archive(t, "one build"), source+"/orders"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	digest := digestAt(t, source+"/orders:1a2b3c4")
	files := &repository{t: t, dir: t.TempDir()}
	files.write("qa/environment.yaml", "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: qa}\nspec: {account: \"012345678901\", region: eu-central-1}\n")
	ask := func(image string) {
		files.write("qa/orders.yaml", "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: orders}\nspec:\n  stack: orders-qa\n  containers: {app: {image: "+image+"}}\n")
	}
	env := []string{plainHTTP, withController(t)}
	copyImages := func() (string, error) { return call(t, files.dir, env, "copy", "qa", source, target) }

	ask(`{tag: "1a2b3c4", digest: "` + digest + `"}`)
	if out, err := copyImages(); err != nil || out != "orders 1a2b3c4 copied\n" || digestAt(t, target+"/orders:1a2b3c4") != digest {
		t.Fatalf("%v\n%s: %s, want %s", err, out, digestAt(t, target+"/orders:1a2b3c4"), digest)
	}
	if out, err := copyImages(); err != nil || out != "orders 1a2b3c4 is there\n" {
		t.Errorf("again: %v\n%s", err, out)
	}
	ask(`{tag: "1a2b3c4", digest: "sha256:` + strings.Repeat("1", 64) + `"}`)
	if out, err := copyImages(); err == nil || !strings.Contains(err.Error(), "tags are never moved") || digestAt(t, target+"/orders:1a2b3c4") != digest {
		t.Errorf("another digest of a tag that is there: %v\n%s", err, out)
	}
	ask(`{tag: "2b3c4d5", digest: "sha256:` + strings.Repeat("1", 64) + `"}`)
	if out, err := copyImages(); err == nil || digestAt(t, target+"/orders:2b3c4d5") != "" {
		t.Errorf("of a digest that the source does not have: %v\n%s", err, out)
	}
	ask(`{tag: "2b3c4d5"}`)
	if out, err := copyImages(); err == nil || !strings.Contains(err.Error(), "has no digest for app") {
		t.Errorf("by tag alone: %v\n%s", err, out)
	}
}

// TestCopyController: a controller is rolled where its image is, or where it is brought from an environment before.
func TestCopyController(t *testing.T) {
	built, between, target := newRegistry(t), newRegistry(t), newRegistry(t)
	for _, registry := range []string{built, between} {
		if out, err := call(t, ".", []string{plainHTTP, "GITHUB_SHA=" + sha}, "publish", archive(t, "built for "+registry), registry+"/deploy-controller"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	digest, other := digestAt(t, built+"/deploy-controller:1a2b3c4"), digestAt(t, between+"/deploy-controller:1a2b3c4")
	copyController := func(image, to string, from ...string) (string, error) {
		return call(t, ".", []string{plainHTTP}, "copy-controller", image, to, strings.Join(from, " "))
	}
	const missing = "no registry that this environment may read has deploy-controller"

	if out, err := copyController("1a2b3c4", built); err != nil || out != "deploy-controller 1a2b3c4 is there\n" {
		t.Errorf("where it is built: %v\n%s", err, out)
	}
	if out, err := copyController("2b3c4d5", target, built, between); err == nil || out != "" || !strings.Contains(err.Error(), missing+":2b3c4d5") ||
		!strings.Contains(err.Error(), "\n"+target+": ") || !strings.Contains(err.Error(), "\n"+between+": ") {
		t.Errorf("nobody has it: %v\n%s", err, out)
	}
	if out, err := copyController("1a2b3c4", target); err == nil || out != "" || !strings.Contains(err.Error(), missing+":1a2b3c4") {
		t.Errorf("there is nobody to copy from: %v\n%s", err, out)
	}
	if out, err := copyController("1a2b3c4", target, "127.0.0.1:1", built, between); err != nil || out != "deploy-controller 1a2b3c4 copied\n" || digestAt(t, target+"/deploy-controller:1a2b3c4") != digest {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := copyController("1a2b3c4", target, between); err != nil || out != "deploy-controller 1a2b3c4 is there\n" || digestAt(t, target+"/deploy-controller:1a2b3c4") != digest {
		t.Errorf("again, and others have another: %v\n%s", err, out)
	}
	// By digest: it gets a tag, without which the registry would throw it away.
	tag := strings.Replace(other, ":", "-", 1) + ".image"
	for _, want := range []string{tag + " copied", other + " is there"} {
		if out, err := copyController(other, target, built, between); err != nil || out != "deploy-controller "+want+"\n" || digestAt(t, target+"/deploy-controller:"+tag) != other {
			t.Errorf("by digest: %v\n%swant %s", err, out, want)
		}
	}
}
