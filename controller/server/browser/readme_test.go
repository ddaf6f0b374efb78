package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

var update = flag.Bool("update", false, "write the README's picture of the page anew")

// The README's picture, and what it shows: the page's elements and style without what differs from run to run.
const (
	pictureFile = "../../../docs/page.png"
	pictureSum  = "testdata/picture.sum"
)

// picture serves the page that the README shows: the shop's services as they are, without what nobody should write into a commit.
func (s *shop) picture(t *testing.T) string {
	return site(t, "dev", func(b *status.Board) {
		b.Repo(status.RepoView{Source: "https://git.example/canteen/deploy.git", FetchedAt: time.Now(), Head: desired.Commit{
			SHA: "0123456789abcdef0123456789abcdef01234567", Author: "Ada", Subject: "orders: read the menu from MENU_URL", At: time.Now(),
		}})
		answer, err := http.Get(s.url + "/api/v1/services/orders/history")
		must(t, err)
		defer func() { _ = answer.Body.Close() }()
		var h server.History
		must(t, json.NewDecoder(answer.Body).Decode(&h))
		for _, name := range []string{"menu", "kitchen", "orders"} {
			b.Publish(*s.app.Board().Service(name))
		}
		for _, e := range slices.Backward(h.Entries) {
			b.Finished(e.Entry)
		}
	})
}

var differs = regexp.MustCompile(`\b(now|in )?\d+[smhd]( \d+[smhd])?\b|\bnow\b|\b[0-9a-f]{7,40}\b|(datetime|title)="[^"]*"|\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d`)

// comparePicture fails where the page no longer looks as in the README, or, with -update, makes the README's picture anew.
func comparePicture(t *testing.T, shots string) {
	page, err := os.ReadFile(filepath.Join(shots, "readme.html"))
	must(t, err)
	style, err := os.ReadFile("../page.css")
	must(t, err)
	sum := sha256.Sum256([]byte(differs.ReplaceAllString(string(page), "…") + string(style)))
	now := hex.EncodeToString(sum[:]) + "\n"
	if *update {
		shot, err := os.ReadFile(filepath.Join(shots, "readme.png"))
		must(t, err)
		must(t, os.WriteFile(pictureFile, shot, 0o644))
		must(t, os.WriteFile(pictureSum, []byte(now), 0o644))
		return
	}
	before, err := os.ReadFile(pictureSum)
	must(t, err)
	if strings.TrimSpace(string(before)) != strings.TrimSpace(now) {
		t.Error("the page looks otherwise than in the README: run go test ./controller/server/browser -update and commit docs/page.png")
	}
	if _, err := os.Stat(pictureFile); err != nil {
		t.Error(err)
	}
}
