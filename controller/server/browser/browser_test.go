// Package browser looks at the page with a real Chromium: a controller works on the account of this machine, and a script
// (testdata/pages.mjs) goes through every page as a person would. DEPLOY_SCREENSHOTS names a folder for the pictures.
package browser

import (
	"cmp"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// tools makes a folder with the script and what it imports. Where something is lacking the test is skipped, but not on CI.
func tools(t testing.TB) string {
	t.Helper()
	lacking := t.Skipf
	if os.Getenv("CI") != "" {
		lacking = t.Fatalf
	}
	for _, tool := range []string{"chromium", "node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacking("%s is not on this machine", tool)
		}
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata")))
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		lacking("npm cannot install playwright-core here: %v\n%s", err, out)
	}
	return dir
}

func TestPagesInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser and lets rollouts take their time")
	}
	s := openShop(t)
	for _, service := range []string{"menu", "kitchen", "orders"} {
		s.ask(service, "3f9c2d1", service+": take orders")
	}
	s.file("lunch.yaml", "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: lunch}\nspec: {stack: lunch-dev, "+
		"containers: {app: {image: {tag: \"1\"}}}, onFailure: '<img src=x onerror=window.hurt=1>'}\n")
	s.file("<img src=x onerror=window.hurt=1>.yaml", "apiVersion: deploy/v1\nkind: Service\n")
	s.commit("lunch " + hostile)
	s.run(t)
	dir := tools(t) // while the rollouts go on
	s.await("orders", condition.PhaseHealthy, "3f9c2d1")
	s.ask("orders", "c51d9e6", "orders: read the menu from MENU_URL "+hostile)
	s.await("orders", condition.PhaseReverted, "c51d9e6")
	s.await("menu", condition.PhaseHealthy, "3f9c2d1")
	s.await("kitchen", condition.PhaseVerifying, "3f9c2d1")

	control := httptest.NewServer(s.control())
	defer control.Close()
	pictures := shots(t)
	prod := site(t, "prod", func(b *status.Board) { b.Publish(*s.app.Board().Service("orders")) }, server.Peer{Name: "dev", URL: s.url}, server.Peer{Name: "staging", URL: control.URL})
	picture := s.picture(t)
	run := exec.CommandContext(t.Context(), "node", "pages.mjs")
	run.Dir = dir
	run.Env = append(os.Environ(), "PAGE="+s.url, "CONTROL="+control.URL+"/commit", "SHOTS="+pictures, "MANY="+site(t, "large", publishMany), "PICTURE="+picture, "PROD="+prod, "BUSY="+busy(t), "DOOR="+signIn(t, picture))
	start := time.Now()
	out, err := run.CombinedOutput()
	t.Logf("the browser took %s\n%s", time.Since(start).Round(100*time.Millisecond), out)
	if err != nil {
		t.Fatalf("the script ended with %v", err)
	}
	comparePicture(t, pictures)
}

// shots is the folder of the pictures.
func shots(t *testing.T) string {
	dir, err := filepath.Abs(cmp.Or(os.Getenv("DEPLOY_SCREENSHOTS"), t.TempDir()))
	must(t, err)
	must(t, os.MkdirAll(dir, 0o755))
	return dir
}
